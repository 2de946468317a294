/** Copies between the devices, and between them and the host, at the sizes that cross. */
import type * as tf from '@tensorflow/tfjs';
import type { Config } from '../../config/config.js';
import { tensorflowName } from '../../config/devices.js';
import { buildNet, sitesOf, volume } from '../../model/net.js';
import { runOp, useDevice } from '../../native/binding/backend.js';
import { copyTensor, settle, tensorFrom } from '../../native/binding/tensors.js';
import { AttrType, DataType } from '../../native/c/signatures.js';
import type { CopiesResult, CopyRates } from './jobs.js';

/** Each size is copied so often; the fastest counts, for whatever else the machine does makes it slower. */
const TIMES = 8;
const FLOAT_BYTES = 4;

/** Brings a tensor to this thread's device. */
type Carry = (tensor: tf.Tensor) => tf.Tensor;

/** An op takes its input to its device. */
const byOp: Carry = (tensor) =>
  runOp('Identity', [tensor], [{ name: 'T', type: AttrType.TYPE, value: DataType.FLOAT }])[0]!;

/**
 * Rates of each size, and what did not arrive as it went.
 * @param carry how a tensor goes from device to device, for tests.
 * @throws NativeError for a copy that fails.
 */
export function measureCopies({ net, batchSize, devices }: Config, carry = byOp): CopiesResult {
  const sizes = new Set(sitesOf(buildNet(net)).map(({ shape }) => batchSize * volume(shape)));
  const names = devices.map(tensorflowName) as [string, string];
  const wrong: string[] = [];
  const rates = [...sizes].sort((a, b) => a - b).map((count) => ratesOf(count, names, wrong, carry));
  return { rates, wrong };
}

function ratesOf(count: number, devices: readonly [string, string], wrong: string[], carry: Carry): CopyRates {
  const bytes = count * FLOAT_BYTES;
  const values = patternOf(count);
  const [first, second] = devices;
  const hosts = devices.map((device) => hostCopies(device, values, wrong)) as [Host, Host];
  return {
    bytes,
    peer: [peerCopy(first, second, values, wrong, carry), peerCopy(second, first, values, wrong, carry)],
    upload: [bytes / hosts[0].up, bytes / hosts[1].up],
    download: [bytes / hosts[0].down, bytes / hosts[1].down],
  };
}

/** Seconds of the fastest. */
interface Host {
  up: number;
  down: number;
}

function hostCopies(device: string, values: Float32Array, wrong: string[]): Host {
  useDevice(device);
  const back = new Float32Array(values.length);
  let [up, down] = [Infinity, Infinity];
  for (let i = 0; i < TIMES; i++) {
    const started = performance.now();
    const tensor = tensorFrom([values.length], values);
    settle(tensor);
    const there = performance.now();
    copyTensor(tensor, new Uint8Array(back.buffer));
    down = Math.min(down, performance.now() - there);
    up = Math.min(up, there - started);
    tensor.dispose();
  }
  if (!isSame(values, back)) wrong.push(`host to ${device} and back, ${values.byteLength} bytes`);
  return { up: up / 1000, down: down / 1000 };
}

/** Bytes a second from one device to the other; what arrived is compared. */
function peerCopy(from: string, to: string, values: Float32Array, wrong: string[], carry: Carry): number {
  useDevice(from);
  // One each time: TensorFlow may keep a copy with the tensor that it is of.
  const tensors = Array.from({ length: TIMES }, () => tensorFrom([values.length], values));
  for (const tensor of tensors) settle(tensor);
  useDevice(to);
  const back = new Float32Array(values.length);
  let [best, isRight] = [Infinity, true];
  for (const tensor of tensors) {
    const started = performance.now();
    const taken = carry(tensor);
    settle(taken);
    best = Math.min(best, performance.now() - started);
    copyTensor(taken, new Uint8Array(back.buffer));
    isRight &&= isSame(values, back);
    taken.dispose();
    tensor.dispose();
  }
  if (!isRight) wrong.push(`${from} to ${to}, ${values.byteLength} bytes`);
  return (1000 * values.byteLength) / best;
}

/** Whole numbers, each its place: so that a part in the wrong place is seen. */
function patternOf(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => i % 2 ** 24);
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;
}
