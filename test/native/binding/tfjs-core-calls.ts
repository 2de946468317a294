/** Makes cases of ops on float32, and of their gradients. */
import tf = require('@tensorflow/tfjs');

import { type Case, type Run, size } from './tfjs-core-values.js';

/** Inputs as shapes, filled with values that differ, or made by a function. */
export type Inputs = readonly (readonly number[])[] | (() => tf.Tensor[]);

/** The op itself has to refuse invalid arguments, such as some kinds of pads. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Loose = any;

export interface Calls {
  readonly cases: Case[];
  /** An op. @param dtypes float32 by default. */
  call(op: string, what: string, inputs: Inputs, run: Run, dtypes?: string): void;
  /** An op of float32 tensors, and its gradient for each of them. */
  both(op: string, what: string, inputs: Inputs, run: Run): void;
}

/** Unsorted values between -1.1 and 0.9, so that an element in a wrong position differs. */
export function spread(shape: readonly number[], seed = 0): tf.Tensor {
  const values = Array.from({ length: size(shape) }, (_, i) => Math.sin(i * 1.7 + seed * 0.9) - 0.1);
  return tf.tensor(values, [...shape]);
}

/** The gradient of an op's output: another value for each element. */
const dyOf = ({ shape }: tf.Tensor) => spread(shape, 3);

const gradientOf =
  (run: Run): Run =>
  (...inputs) =>
    tf.grads((...all: tf.Tensor[]) => {
      const output = run(...all) as tf.Tensor;
      return tf.mul(output, dyOf(output));
    })(inputs);

/** Linear ops for which tfjs's plain backend has a wrong gradient. */
const LINEAR = /^(avgPool|avgPool3d|pool avg|resizeBilinear|resizeNearestNeighbor)$/;

export function calls(): Calls {
  const cases: Case[] = [];
  const made = (inputs: Inputs) =>
    typeof inputs === 'function' ? inputs : () => inputs.map((shape, seed) => spread(shape, seed));
  const call: Calls['call'] = (op, what, inputs, run, dtypes = 'float32') =>
    cases.push({ op, dtypes, what, inputs: made(inputs), run });
  return {
    cases,
    call,
    both: (op, what, inputs, run) => {
      call(op, what, inputs, run);
      call(`gradient of ${op}`, what, inputs, gradientOf(run));
      if (!LINEAR.test(op) || /NaN/.test(what)) return;
      cases.at(-1)!.linear = { run: run as (input: tf.Tensor) => tf.Tensor, dy: dyOf };
    },
  };
}
