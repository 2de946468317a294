/** A small function of two halves that cross at two sites and end at a home, for tests: in one thread, or in two. */
import tf = require('@tensorflow/tfjs');

import { allGather, type Exchanger } from '../../src/exchange/all-gather.js';
import { Mailbox, type Mailboxes } from '../../src/exchange/mailbox.js';
import { msgpackTransport } from '../../src/exchange/transport.js';

/** Batch, positions, channels of one tower. */
const SHAPE: [number, number, number] = [2, 3, 4];

/** Inputs of one tower: its half, and its weights of the two layers. */
export function inputsOf(tower: number): tf.Tensor[] {
  const numbers = (shape: readonly number[], phase: number) => {
    const size = shape.reduce((product, each) => product * each, 1);
    const values = Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + phase + 3 * tower));
    return tf.tensor(values, [...shape], 'float32');
  };
  return [numbers(SHAPE, 0), numbers([8, 4], 1), numbers([8, 4], 2)];
}

/** One tower's layer: both towers' channels by its weights. */
function layer(both: tf.Tensor, weights: tf.Tensor): tf.Tensor {
  const flat = tf.reshape(both, [-1, both.shape[2]!]);
  return tf.tanh(tf.reshape(tf.matMul(flat as tf.Tensor2D, weights as tf.Tensor2D), SHAPE));
}

function lossOf(both: tf.Tensor): tf.Scalar {
  return tf.sum(tf.mul(both, tf.reshape(tf.range(0, both.size), both.shape))) as tf.Scalar;
}

/** Gradients of tower 0's and then tower 1's inputs, in one thread. */
export function runWhole(): { loss: number; gradients: number[][] } {
  const f = (...x: tf.Tensor[]): tf.Scalar => {
    const [a, wa, va, b, wb, vb] = x as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    const first = tf.concat([a, b], 2);
    const second = tf.concat([layer(first, wa), layer(first, wb)], 2);
    return lossOf(tf.concat([layer(second, va), layer(second, vb)], 2));
  };
  const { value, grads } = tf.valueAndGrads(f)([...inputsOf(0), ...inputsOf(1)]);
  return { loss: value.dataSync()[0]!, gradients: grads.map((each) => [...each.dataSync()]) };
}

/** Tensors of any of tfjs's own backends, by messages. */
function tfjsExchanger(mailbox: Mailbox, tower: 0 | 1): Exchanger {
  const transport = msgpackTransport(mailbox, tower);
  const receive: Exchanger['receive'] = (shape, place) =>
    transport.receive({ shape, dtype: 'float32' }, { ...place, step: 1 }, (bytes) =>
      tf.tensor(new Float32Array(bytes.slice().buffer), [...shape], 'float32'),
    );
  return {
    send(tensor, place) {
      const values = tensor.dataSync() as Float32Array;
      const copyTo = (bytes: Uint8Array) =>
        bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      transport.send({ shape: tensor.shape, dtype: 'float32', copyTo }, { ...place, step: 1 });
    },
    receive,
    receiveFor: (shape, place, compute) => compute(receive(shape, place)),
  };
}

/** The gradients of one tower's inputs; the other runs in another thread at the other end of the mailboxes. */
export function runHalf(tower: 0 | 1, mailboxes: Mailboxes): { loss: number; gradients: number[][] } {
  const exchanger = tfjsExchanger(new Mailbox(mailboxes, tower, 20_000), tower);
  const f = (...x: tf.Tensor[]): tf.Scalar => {
    const [own, w, v] = x as [tf.Tensor, tf.Tensor, tf.Tensor];
    const first = layer(allGather(own, { name: 'first' }, tower, exchanger), w);
    const second = layer(allGather(first, { name: 'second' }, tower, exchanger), v);
    const last = allGather(second, { name: 'last', home: 0 }, tower, exchanger);
    return tower === 0 ? lossOf(last) : (last as tf.Scalar);
  };
  const { value, grads } = tf.valueAndGrads(f)(inputsOf(tower));
  return { loss: value.dataSync()[0]!, gradients: grads.map((each) => [...each.dataSync()]) };
}
