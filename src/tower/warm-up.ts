/**
 * Before a GPU's first step: a step of the tower's part of the net without its peer. CUDA loads its libraries in it, and if
 * the card is newer than TensorFlow's kernels, the driver compiles them, which can take many minutes. So this does not count
 * against the deadlines of steps.
 */
import tf = require('@tensorflow/tfjs');

import { imageValues, NOISE_VALUES, type SlotLayout } from '../data/batches/slots.js';
import type { Exchanger } from '../exchange/all-gather.js';
import { type Net, parametersOf } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { tensorFrom } from '../native/binding/tensors.js';
import { openNormalizer } from './normalize.js';
import { Parameters } from './parameters.js';
import type { TowerSetup } from './protocol.js';
import { type Answering, TowerFunction } from './tower-function.js';

/** Enough for every kernel, and little memory. */
const MOST_IMAGES = 2;

type WarmUp = Pick<TowerSetup, 'device' | 'part' | 'optimizer' | 'seed' | 'batchSize' | 'layout'>;

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
export function rehearse({ part, optimizer, seed, batchSize, layout }: WarmUp, net: Net, ops: Ops): void {
  const { init } = net.options;
  const own = parametersOf(net, part === 'whole' ? undefined : part);
  const parameters = new Parameters(own, init, optimizer, seed, 'on');
  const normalizer = openNormalizer(layout);
  const passes = new TowerFunction({
    ...{ net, part, ops, names: parameters.names, seed, compile: 'on', exchanger: NO_PEER, normalizer },
    readParameters: () => parameters.read(),
  });
  const answering: Answering = { onForward: () => {}, onGradients: (squares) => squares.dataSync() };
  try {
    tf.tidy(() => {
      const count = Math.min(batchSize, MOST_IMAGES);
      const images = imagesFor(layout, count);
      const batch = { images, labels: tf.zeros([count], 'int32') as tf.Tensor1D, step: 0 };
      const noise = normalizer?.hasNoise ? (tf.ones([count, NOISE_VALUES]) as tf.Tensor2D) : undefined;
      const { gradients } = passes.run({ ...batch, noise }, { training: true, keep: false }, answering);
      parameters.update(gradients, 1e-6);
      passes.run(batch, { training: false, keep: false }, answering).value.dataSync();
    });
  } finally {
    passes.dispose();
    normalizer?.dispose();
    parameters.dispose();
  }
}

/** Any images, in the type that the tower gets. */
function imagesFor(layout: SlotLayout, count: number): tf.Tensor4D {
  const { inputSize, channels, normalization } = layout;
  const values = count * imageValues(layout);
  const some = normalization ? new Uint8Array(values).fill(127) : new Float32Array(values).fill(0.5);
  return tensorFrom([count, inputSize, inputSize, channels], some) as tf.Tensor4D;
}
