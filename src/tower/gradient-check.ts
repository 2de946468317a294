/** Before an update: whether its numbers are numbers. */
import type * as tf from '@tensorflow/tfjs';
import { NonFiniteError } from '../errors.js';
import type { Parameter } from '../model/net.js';
import { type Compiled, compile } from '../native/graph/compile.js';
import { halfSquares } from '../native/layers/half-squares.js';
import { modeOf } from './parameters.js';
import type { TowerSetup } from './protocol.js';

/** The norm of all gradients of a tower, as one function; it reads each of them once. */
export class GradientCheck {
  readonly #norm: (...gradients: tf.Tensor[]) => tf.Tensor[];
  readonly #compiled: Compiled | undefined;

  constructor(mode: TowerSetup['compile']) {
    const norm = (...gradients: tf.Tensor[]) => [halfSquares(gradients)];
    this.#compiled = mode === 'off' ? undefined : compile(norm, { mode: modeOf(mode) });
    this.#norm = this.#compiled ?? norm;
  }

  /**
   * @param parameters whose gradients they are, in the net's order.
   * @param squares `halfSquares` of the gradients, where it was computed with them; stays the caller's.
   * @throws NonFiniteError that names the first layer, in the order in which they come about, whose gradient is not finite.
   */
  check(
    gradients: readonly tf.Tensor[],
    parameters: readonly Parameter[],
    step: number,
    learningRate: number,
    squares?: tf.Scalar,
  ): void {
    const norm = squares ?? this.#norm(...gradients)[0]!;
    const isNumber = Number.isFinite(norm.dataSync()[0]);
    if (norm !== squares) norm.dispose();
    if (isNumber) return;
    const sizes = gradients.map((each) => largestOf(each.dataSync() as Float32Array));
    const bad = sizes.findLastIndex((size) => !Number.isFinite(size));
    const largest = sizes.indexOf(Math.max(...sizes));
    const found =
      bad < 0
        ? `too large for a float32, most of all in ${parameters[largest]!.name}`
        : `not finite, first in ${parameters[bad]!.name}`;
    throw new NonFiniteError(
      `Cannot go on: the gradient of step ${step} is ${found}, at learning rate ${learningRate}, expected numbers; take a lower --lr (the update was not made)`,
      step,
    );
  }

  dispose(): void {
    this.#compiled?.dispose();
  }
}

/** The largest absolute value; NaN where there is one. */
function largestOf(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** The loss of a step that is not finite. */
export function lossNotFinite(loss: number, step: number, learningRate: number): NonFiniteError {
  return new NonFiniteError(
    `Cannot go on: the loss of step ${step} is ${loss} at learning rate ${learningRate}, expected a number; take a lower --lr (the update was not made)`,
    step,
  );
}
