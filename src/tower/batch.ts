/** The images of a slot that a tower reads: all of them, or its replica's rows. */
import type * as tf from '@tensorflow/tfjs';
import { slotViews } from '../data/batches/slots.js';
import { volume } from '../model/net.js';
import { borrowTensor, tensorFrom } from '../native/binding/tensors.js';
import type { Share } from './pass.js';
import type { BatchCommand, TowerSetup } from './protocol.js';
import { rowsOf } from './replica.js';

/**
 * The images and labels of a slot, which is overwritten after the command. They are used where they lie unless something
 * that shares their memory may outlive the command. The tensors are the caller's.
 * @param options `isShared`: for training, with the part that the replica has of the step. A replica without images then has
 * the first one, with a weight of 0, because the others wait for its gradients.
 */
export function readBatch(
  { slots, batchSize, replica, net: { inputSize, inputChannels } }: TowerSetup,
  { slot, count }: BatchCommand,
  { isCopied, isShared }: { isCopied: boolean; isShared: boolean },
) {
  const views = slotViews(slots[slot]!, batchSize * replica.count, inputSize, inputChannels);
  const { from, to } = rowsOf(count, replica);
  const own = to - from;
  const [first, rows] = own > 0 ? [from, own] : [0, 1];
  const shape = [rows, inputSize, inputSize, inputChannels] as const;
  const start = first * volume(shape.slice(1));
  const labelValues = views.labels.subarray(first, first + rows);
  const values = views.images.subarray(start, start + volume(shape));
  const share: Share | undefined =
    isShared && replica.count > 1
      ? {
          begin: tensorFrom([2], Int32Array.of(first, 0)) as tf.Tensor1D,
          weight: tensorFrom([], Float32Array.of(own / count)) as tf.Scalar,
        }
      : undefined;
  const images = (isCopied ? tensorFrom : borrowTensor)(shape, values) as tf.Tensor4D;
  const bytes = values.byteLength + labelValues.byteLength; // what the device is given
  return { images, labels: tensorFrom([rows], labelValues) as tf.Tensor1D, labelValues, share, bytes };
}
