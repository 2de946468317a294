/** The part of tfjs's engine that `tf.customGrad` is made of: with it, a gradient that nobody asks for is not computed. */
import tf = require('@tensorflow/tfjs');

/** One operation of the tape. */
export interface TapeOperation {
  inputs: readonly tf.Tensor[];
  /** Computes the results; `save` keeps tensors for the gradients. */
  forward(save: (tensors: readonly tf.Tensor[]) => void): tf.Tensor[];
  /** One gradient for each input, in order, each made when it is asked for. @param dys one for each result. */
  backward(dys: readonly tf.Tensor[], saved: readonly tf.Tensor[]): readonly (() => tf.Tensor)[];
}

/** Runs an operation, and puts it on the tape when one records. @returns its results; the caller's. */
export function runOnTape({ inputs, forward, backward }: TapeOperation): tf.Tensor[] {
  const engine = tf.engine() as unknown as {
    runKernelFunc(kernel: {
      inputs: Record<string, tf.Tensor>;
      forwardFunc: (backend: unknown, save: (tensors: readonly tf.Tensor[]) => void) => tf.Tensor[];
      backwardsFunc: (dys: tf.Tensor | tf.Tensor[], saved: tf.Tensor[]) => Record<string, () => tf.Tensor>;
    }): tf.Tensor[];
  };
  return engine.runKernelFunc({
    inputs: Object.fromEntries(inputs.entries()),
    forwardFunc: (_backend, save) => forward(save),
    backwardsFunc: (dys, saved) => Object.fromEntries(backward(Array.isArray(dys) ? dys : [dys], saved).entries()),
  });
}
