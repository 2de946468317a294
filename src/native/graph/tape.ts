/** Operations on tfjs's tape, whose gradients are computed only if they are asked for; `tf.customGrad` computes all. */
import tf = require('@tensorflow/tfjs');

export type Save = (tensors: readonly tf.Tensor[]) => void;

export interface TapeOperation {
  inputs: readonly tf.Tensor[];
  /** Computes the results; `save` keeps tensors for `backward`. */
  forward(save: Save): tf.Tensor[];
  /** Returns one gradient for each input, in order. @param dys the gradient of each result. */
  backward(dys: readonly tf.Tensor[], saved: readonly tf.Tensor[]): readonly (() => tf.Tensor)[];
}

/** Runs an operation, and puts it on the tape if one is recording. @returns the results; the caller's. */
export function runOnTape({ inputs, forward, backward }: TapeOperation): tf.Tensor[] {
  const engine = tf.engine() as unknown as {
    runKernelFunc(kernel: {
      inputs: Record<string, tf.Tensor>;
      forwardFunc: (backend: unknown, save: Save) => tf.Tensor[];
      backwardsFunc: (dys: tf.Tensor | tf.Tensor[], saved: tf.Tensor[]) => Record<string, () => tf.Tensor>;
    }): tf.Tensor[];
  };
  return engine.runKernelFunc({
    inputs: Object.fromEntries(inputs.entries()),
    forwardFunc: (_backend, save) => forward(save),
    backwardsFunc: (dys, saved) => Object.fromEntries(backward([dys].flat(), saved).entries()),
  });
}
