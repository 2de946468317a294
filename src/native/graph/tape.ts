/** Operations on tfjs's tape, whose gradients are computed only if they are asked for; `tf.customGrad` computes all. */
import tf = require('@tensorflow/tfjs');

export type Save = (tensors: readonly tf.Tensor[]) => void;

/**
 * Runs an operation, and puts it on the tape if one is recording.
 * @param forward computes the results, and saves the tensors that `backward` needs.
 * @param backward takes the gradient of each result, and returns one function for each input.
 * @returns the results; the caller's.
 */
export function runOnTape(
  inputs: readonly tf.Tensor[],
  forward: (save: Save) => tf.Tensor[],
  backward: (dys: readonly tf.Tensor[], saved: readonly tf.Tensor[]) => readonly (() => tf.Tensor)[],
): tf.Tensor[] {
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
