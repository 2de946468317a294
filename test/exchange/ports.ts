/** A tensor's bytes in and out of any of tfjs's own backends, for tests. */
import * as tf from '@tensorflow/tfjs';
import type { TensorPort } from '../../src/exchange/transport.js';

export const TFJS_PORT: TensorPort = {
  settle() {},
  write(tensor, bytes) {
    const values = tensor.dataSync() as Float32Array;
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  },
  read(shape, bytes) {
    return tf.tensor(new Float32Array(bytes.slice().buffer), [...shape], 'float32');
  },
};
