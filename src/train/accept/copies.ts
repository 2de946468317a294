/** Measures copies between the devices, and between them and the host, of the sizes that cross in a step. */
import type * as tf from '@tensorflow/tfjs';
import type { Config } from '../../config/config.js';
import { tensorflowName } from '../../config/devices.js';
import { buildNet, sitesOf, volume } from '../../model/net.js';
import { runOp, useDevice } from '../../native/binding/backend.js';
import { copyTensor, settle, tensorFrom } from '../../native/binding/tensors.js';
import { AttrType, DataType } from '../../native/c/signatures.js';

/** How often each size is copied. The fastest copy counts, because other work of the machine makes copies slower. */
const REPEATS = 8;

/** Brings a tensor to this thread's device. */
type Carry = (tensor: tf.Tensor) => tf.Tensor;

/** TensorFlow copies an op's input to the op's device. */
const identity: Carry = (tensor) =>
  runOp('Identity', [tensor], [{ name: 'T', type: AttrType.TYPE, value: DataType.FLOAT }])[0]!;

/**
 * Copies every size that crosses; rates are in bytes per second.
 * @param carry copies from device to device; tests replace it.
 * @throws NativeError if a copy fails.
 */
export function measureCopies({ net, batchSize, devices }: Config, carry = identity) {
  const [first, second] = devices.map((name) => tensorflowName(name)) as [string, string];
  const wrong: string[] = [];
  const sizes = new Set(sitesOf(buildNet(net)).map(({ shape }) => batchSize * volume(shape)));
  const rates = [...sizes]
    .sort((a, b) => a - b)
    .map((size) => {
      // Every value is its own position, so that a part in the wrong place is found.
      const values = Float32Array.from({ length: size }, (_, i) => i % 2 ** 24);
      const [a, b] = [hostCopies(first, values, wrong), hostCopies(second, values, wrong)];
      return {
        bytes: values.byteLength,
        /** From the first device to the second, and back. */
        peer: [peerCopies(first, second, values, wrong, carry), peerCopies(second, first, values, wrong, carry)],
        /** From the host to each device, and back. */
        upload: [a.upload, b.upload],
        download: [a.download, b.download],
      };
    });
  return { rates, /** The copies that arrived with other bytes. */ wrong };
}

function hostCopies(device: string, values: Float32Array, wrong: string[]): { upload: number; download: number } {
  useDevice(device);
  const back = new Float32Array(values.length);
  let [uploadMs, downloadMs] = [Infinity, Infinity];
  for (let i = 0; i < REPEATS; i++) {
    const started = performance.now();
    const tensor = tensorFrom([values.length], values);
    settle(tensor);
    const uploaded = performance.now();
    copyTensor(tensor, new Uint8Array(back.buffer));
    downloadMs = Math.min(downloadMs, performance.now() - uploaded);
    uploadMs = Math.min(uploadMs, uploaded - started);
    tensor.dispose();
  }
  if (!isSame(values, back)) wrong.push(`host to ${device} and back, ${values.byteLength} bytes`);
  return { upload: (1000 * values.byteLength) / uploadMs, download: (1000 * values.byteLength) / downloadMs };
}

function peerCopies(from: string, to: string, values: Float32Array, wrong: string[], carry: Carry): number {
  useDevice(from);
  // A new tensor for each copy, because TensorFlow may keep a copy together with its tensor.
  const tensors = Array.from({ length: REPEATS }, () => tensorFrom([values.length], values));
  for (const tensor of tensors) settle(tensor);
  useDevice(to);
  const back = new Float32Array(values.length);
  let [fastestMs, isRight] = [Infinity, true];
  for (const tensor of tensors) {
    const started = performance.now();
    const copied = carry(tensor);
    settle(copied);
    fastestMs = Math.min(fastestMs, performance.now() - started);
    copyTensor(copied, new Uint8Array(back.buffer));
    isRight &&= isSame(values, back);
    copied.dispose();
    tensor.dispose();
  }
  if (!isRight) wrong.push(`${from} to ${to}, ${values.byteLength} bytes`);
  return (1000 * values.byteLength) / fastestMs;
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;
}
