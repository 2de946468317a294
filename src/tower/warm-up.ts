/**
 * Before a GPU's first step: a step of the tower's part of the net without its peer. CUDA loads its libraries in it, and if
 * the card is newer than TensorFlow's kernels, the driver compiles them, which can take many minutes. So this does not count
 * against the deadlines of steps.
 */
import tf = require('@tensorflow/tfjs');

import type { Exchanger } from '../exchange/all-gather.js';
import { type Net, parametersOf } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { Parameters } from './parameters.js';
import type { TowerSetup } from './protocol.js';
import { type Answering, TowerFunction } from './tower-function.js';

/** Enough for every kernel, and little memory. */
const MOST_IMAGES = 2;

type WarmUp = Pick<TowerSetup, 'device' | 'part' | 'optimizer' | 'seed' | 'batchSize'>;

/** In place of the peer: zeros. */
const NO_PEER: Exchanger = {
  send: () => {},
  receive: (shape) => tf.zeros([...shape]),
  receiveFor: (shape, _place, compute) => compute(tf.zeros([...shape])),
};

/** Calls {@link rehearse} on a GPU; on a CPU there is nothing to load. @throws NativeError if the device fails. */
export function warmUp(setup: WarmUp, net: Net, ops: Ops): void {
  if (setup.device.toUpperCase().includes('GPU:')) rehearse(setup, net, ops);
}

/** Makes a step and an evaluation on this thread's device, with its own parameters, and frees everything. */
export function rehearse({ part, optimizer, seed, batchSize }: WarmUp, net: Net, ops: Ops): void {
  const { init, inputSize, inputChannels } = net.options;
  const own = parametersOf(net, part === 'whole' ? undefined : part);
  const parameters = new Parameters(own, init, optimizer, seed, 'on');
  const passes = new TowerFunction({
    ...{ net, part, ops, names: parameters.names, seed, compile: 'on', exchanger: NO_PEER },
    readParameters: () => parameters.read(),
  });
  const answering: Answering = { onForward: () => {}, onGradients: (squares) => squares.dataSync() };
  try {
    tf.tidy(() => {
      const count = Math.min(batchSize, MOST_IMAGES);
      const images: tf.Tensor4D = tf.fill([count, inputSize, inputSize, inputChannels], 0.5);
      const batch = { images, labels: tf.zeros([count], 'int32') as tf.Tensor1D, step: 0 };
      const { gradients } = passes.run(batch, { training: true, keep: false }, answering);
      parameters.update(gradients, 1e-6);
      passes.run(batch, { training: false, keep: false }, answering).value.dataSync();
    });
  } finally {
    passes.dispose();
    parameters.dispose();
  }
}
