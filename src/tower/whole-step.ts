/** The whole net's step up to its gradients as one call: forward, backward, and what the update's check reads. */
import * as tf from '@tensorflow/tfjs';
import type { Net } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { type Compiled, compile } from '../native/compile.js';
import { halfSquares } from '../native/finite.js';
import { wholeNet } from './own-segments.js';
import { modeOf } from './parameters.js';
import type { TowerSetup } from './protocol.js';
import { functionOf, seedsOf } from './segment-function.js';

export interface WholeStepOptions {
  net: Net;
  ops: Ops;
  seed: number;
  compile: TowerSetup['compile'];
  /** Reads the parameters, in the order of the net's. */
  read: () => tf.Tensor[];
}

/** What a step leaves; the caller's. */
export interface WholeStepResult {
  loss: tf.Scalar;
  /** [B, K] */
  logits: tf.Tensor2D;
  /** See `halfSquares`. */
  squares: tf.Scalar;
  /** In the parameters' order. */
  gradients: tf.Tensor[];
}

/**
 * Where nothing crosses in the middle of a step, TensorFlow can have it in one piece: activations stay within it, and
 * are freed when their gradient is made.
 */
export class WholeStep {
  readonly #compiled: Compiled;
  readonly #seeds: (step: number) => tf.Tensor[];

  constructor({ net, ops, seed, compile: mode, read }: WholeStepOptions) {
    const segment = wholeNet(net);
    const forward = functionOf(segment, { ops, training: true });
    this.#seeds = (step) => seedsOf(segment, seed, step);
    const step = (images: tf.Tensor, labels: tf.Tensor, ...seeds: tf.Tensor[]): tf.Tensor[] => {
      let kept: tf.Tensor | undefined;
      const { value, grads } = tf.valueAndGrads((...parameters: tf.Tensor[]) => {
        const [loss, scores] = forward(images, ...parameters, ...seeds, labels);
        kept = tf.keep(scores!); // the tape's scope would dispose of it
        return loss as tf.Scalar;
      })(read());
      const logits = kept!.clone();
      kept!.dispose();
      return [value, logits, halfSquares(grads), ...grads];
    };
    this.#compiled = compile(step, { mode: modeOf(mode) });
  }

  /**
   * @param images float32 [B, N, N, C]
   * @param labels int32 [B]
   */
  run(images: tf.Tensor4D, labels: tf.Tensor1D, step: number): WholeStepResult {
    const seeds = this.#seeds(step);
    const [loss, logits, squares, ...gradients] = this.#compiled(images, labels, ...seeds);
    for (const each of seeds) each.dispose();
    return { loss: loss as tf.Scalar, logits: logits as tf.Tensor2D, squares: squares as tf.Scalar, gradients };
  }

  /** Frees the traces. */
  dispose(): void {
    this.#compiled.dispose();
  }
}
