/** A tower's tensors in and out of its device, for the exchange. */
import * as tf from '@tensorflow/tfjs';
import type { TensorPort } from '../exchange/index.js';
import { borrowTensor } from '../native/binding/borrow.js';
import {
  copyTensor,
  copyTensorAsHalf,
  lendTensor,
  settle,
  takeTensor,
  tensorFrom,
  tensorFromHalf,
} from '../native/binding/tensors.js';
import type { Fault } from './fault.js';

/** The largest number of float16: a larger gradient becomes this, where rounding would make it infinite. */
const HALF_MAX = 65_504;

/** The port of this thread's device. */
export function devicePort({ wrongBytes = false }: Fault): TensorPort {
  return {
    settle,
    write(tensor, bytes, dtype, scale) {
      if (dtype === 'float32') copyTensor(tensor, bytes);
      else if (scale === 1) copyTensorAsHalf(tensor, bytes);
      else tf.tidy(() => copyTensorAsHalf(tf.clipByValue(tf.mul(tensor, scale), -HALF_MAX, HALF_MAX), bytes));
    },
    read(shape, bytes, dtype, scale) {
      return dtype === 'float32' ? tensorFrom(shape, floatsOf(bytes)) : fromHalf(shape, bytes, scale);
    },
    view(shape, bytes, dtype, scale) {
      return dtype === 'float32' ? borrowTensor(shape, floatsOf(bytes)) : fromHalf(shape, bytes, scale);
    },
    lend: lendTensor,
    take(handle) {
      const tensor = takeTensor(handle);
      if (!wrongBytes) return tensor;
      const wrong = tf.mul(tensor, -1);
      tensor.dispose();
      return wrong;
    },
  };
}

function floatsOf({ buffer, byteOffset, length }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, length / 4);
}

function fromHalf(shape: readonly number[], bytes: Uint8Array, scale: number): tf.Tensor {
  return tf.tidy(() => {
    const values = tensorFromHalf(shape, bytes);
    return scale === 1 ? values : tf.mul(values, 1 / scale);
  });
}
