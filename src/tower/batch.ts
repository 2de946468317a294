/** The images of a slot that a tower reads: all of them, or its replica's rows. */
import type * as tf from '@tensorflow/tfjs';
import { imageValues, NOISE_VALUES, slotViews } from '../data/batches/slots.js';
import { adoptTensor, borrowTensor, tensorFrom } from '../native/binding/tensors.js';
import type { Share } from './pass.js';
import type { BatchCommand, TowerSetup } from './protocol.js';
import { rowsOf, towerNumber } from './replica.js';

type BatchSetup = Pick<TowerSetup, 'slots' | 'layout' | 'replica' | 'part' | 'device' | 'peer'>;

/**
 * The images and labels of a slot, which is overwritten after the command. They are used where they lie unless something
 * that shares their memory may outlive the command. The tensors are the caller's.
 * @param options `isTraining`: with the images' noise, and the part that the replica has of the step. A replica without
 * images then has the first one, with a weight of 0, because the others wait for its gradients.
 */
export function readBatch(
  { slots, layout, replica, part, device, peer }: BatchSetup,
  { slot, count, staged }: BatchCommand,
  { isCopied, isTraining }: { isCopied: boolean; isTraining: boolean },
) {
  const { inputSize, channels, normalization } = layout;
  const views = slotViews(slots[slot]!, layout);
  const { from, to } = rowsOf(count, replica);
  const own = to - from;
  const [first, rows] = own > 0 ? [from, own] : [0, 1];
  const shape = [rows, inputSize, inputSize, channels] as const;
  const size = imageValues(layout);
  const labelValues = views.labels.subarray(first, first + rows);
  const values = views.images.subarray(first * size, (first + rows) * size);
  const share: Share | undefined =
    isTraining && replica.count > 1
      ? {
          begin: tensorFrom([2], Int32Array.of(first, 0)) as tf.Tensor1D,
          weight: tensorFrom([], Float32Array.of(own / count)) as tf.Scalar,
        }
      : undefined;
  const onDevice = staged?.[towerNumber({ part, replica })];
  // What is made of grey levels has memory of its own.
  const make = isCopied && !normalization ? tensorFrom : borrowTensor;
  const images = (
    onDevice === undefined ? make(shape, values) : adoptTensor(onDevice, shape, normalization !== undefined)
  ) as tf.Tensor4D;
  const labels = tensorFrom([rows], labelValues) as tf.Tensor1D;
  // What the device is given: two towers on one have one copy of the images.
  const isGiven = onDevice === undefined || part !== 1 || peer?.device !== device;
  const bytes = (isGiven ? values.byteLength : 0) + labelValues.byteLength;
  if (!isTraining || !views.noise) return { images, labels, labelValues, share, bytes };
  const noiseValues = views.noise.subarray(NOISE_VALUES * first, NOISE_VALUES * (first + rows));
  const noise = tensorFrom([rows, NOISE_VALUES], noiseValues) as tf.Tensor2D;
  return { images, noise, labels, labelValues, share, bytes: bytes + noiseValues.byteLength };
}
