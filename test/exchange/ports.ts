/** A tensor's bytes in and out of any of tfjs's own backends, for tests. */
import * as tf from '@tensorflow/tfjs';
import type { TensorPort } from '../../src/exchange/transport.js';

const lent: tf.Tensor[] = [];

export const TFJS_PORT: TensorPort = {
  settle() {},
  write(tensor, bytes) {
    const values = tensor.dataSync() as Float32Array;
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  },
  read(shape, bytes) {
    return tf.tensor(new Float32Array(bytes.slice().buffer), [...shape], 'float32');
  },
  view: (shape, bytes, dtype, scale) => TFJS_PORT.read(shape, bytes, dtype, scale),
  // Within one thread a number is as good as an address.
  lend(tensor) {
    lent.push(tensor.clone());
    return BigInt(lent.length);
  },
  take(handle) {
    return lent[Number(handle) - 1]!;
  },
};
