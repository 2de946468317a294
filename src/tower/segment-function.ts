/** A segment as a function of tensors alone, which can be compiled: nothing of a step is in it. */
import type * as tf from '@tensorflow/tfjs';
import type { Captured, Run } from '../model/forward.js';
import { maskOf, maskSeed } from '../model/init.js';
import type { Ops } from '../model/ops.js';
import { tensorFrom } from '../native/binding/tensors.js';
import { statelessUniform } from '../native/layers/stateless-random.js';
import type { OwnSegment } from './own-segments.js';

/** What a segment's function captures after its results. */
export type CapturedNames = Omit<Captured, 'tensor'>[];

export interface FunctionOptions {
  ops: Ops;
  training: boolean;
  /** Takes the names of what is captured, each time the function runs; without it nothing is. */
  captured?: ((names: CapturedNames) => void) | undefined;
}

/**
 * The segment as a function of x, its parameters, the seeds of {@link seedsOf} and, the last segment's, the labels.
 * @returns a function that returns y, or the last segment's loss and logits, and after them what is captured.
 */
export function functionOf(segment: OwnSegment, { ops, training, captured }: FunctionOptions) {
  const { names, dropouts } = segment;
  return (...inputs: tf.Tensor[]): tf.Tensor[] => {
    const parameters = new Map(names.map((name, i) => [name, inputs[1 + i]!]));
    const kept: Captured[] = [];
    const run: Run = {
      ...{ ops, parameters, training },
      mask: (layer, tower, batch, channels) => {
        const i = dropouts.findIndex((each) => each.layer === layer && each.tower === tower);
        return maskOf(statelessUniform([batch, channels], inputs[1 + names.length + i]!), dropouts[i]!.keep);
      },
      ...(captured && { capture: (each: Captured) => kept.push(each) }),
    };
    const y = segment.compute(inputs[0]!, run);
    const results = segment.isLast ? [ops.crossEntropy(y as tf.Tensor2D, inputs.at(-1) as tf.Tensor1D), y] : [y];
    captured?.(kept.map(({ name, layer, kind }) => ({ name, layer, kind })));
    return [...results, ...kept.map(({ tensor }) => tensor)];
  };
}

/** Seeds of a step's dropout masks, int32 [2] each, one for each of the segment's dropout layers; the caller's. */
export function seedsOf(segment: OwnSegment, seed: number, step: number): tf.Tensor[] {
  return segment.dropouts.map(({ layer, tower }) => {
    const words = maskSeed({ seed, layer, tower, step });
    return tensorFrom([2], Int32Array.from(words));
  });
}
