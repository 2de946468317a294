/**
 * Before a GPU's first step: a step of the tower's own part of the net, with nobody to exchange with. CUDA loads its
 * libraries then, and for a card that is newer than TensorFlow's kernels the driver compiles them, which can take many
 * minutes; nobody waits for the tower meanwhile but who opened it.
 */
import tf = require('@tensorflow/tfjs');

import type { Exchanger } from '../exchange/index.js';
import { type Net, parametersOf } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { compile } from '../native/graph/compile.js';
import { Parameters } from './parameters.js';
import { NetPart, type PassInputs } from './pass.js';
import type { TowerSetup } from './protocol.js';

/** Enough for every kernel to have work, and little memory. */
const MOST_IMAGES = 2;

/** What a tower is, as far as its kernels go. */
export type WarmUp = Pick<TowerSetup, 'device' | 'part' | 'optimizer' | 'seed' | 'batchSize'>;

/** What comes from a peer that is not there. */
const NOBODY: Exchanger = {
  send: () => {},
  receive: (shape) => tf.zeros([...shape]),
  receiveFor: (shape, _place, compute) => compute(tf.zeros([...shape])),
};

/**
 * {@link rehearse} on a GPU; on a CPU there is nothing to load.
 * @throws NativeError where the device cannot do a step.
 */
export function warmUp(setup: WarmUp, net: Net, ops: Ops): void {
  if (setup.device.toUpperCase().includes('GPU:')) rehearse(setup, net, ops);
}

/** A step and a pass without dropout, on this thread's device, with parameters of their own; frees all that it makes. */
export function rehearse({ part, optimizer, seed, batchSize }: WarmUp, net: Net, ops: Ops): void {
  const { init, inputSize, inputChannels } = net.options;
  const own = parametersOf(net, part === 'whole' ? undefined : part);
  const parameters = new Parameters(own, init, optimizer, seed, 'on');
  const netPart = new NetPart({ net, part, ops, names: parameters.names });
  const [step, evaluation] = [true, false].map((training) =>
    compile((images, labels, ...seeds) => {
      const inputs = { images, labels, seeds, parameters: parameters.read() } as PassInputs;
      const squares: tf.Tensor[] = [];
      const hooks = { exchanger: NOBODY, onForward: () => {}, onGradients: (each: tf.Scalar) => squares.push(each) };
      const { value, gradients } = netPart.run(inputs, { training, keep: false }, hooks);
      return [value, ...squares, ...gradients];
    }),
  );
  try {
    tf.tidy(() => {
      const count = Math.min(batchSize, MOST_IMAGES);
      const images = tf.fill([count, inputSize, inputSize, inputChannels], 0.5);
      const labels = tf.zeros([count], 'int32');
      const [, squares, ...gradients] = step!(images, labels, ...netPart.seeds(seed, 0));
      squares!.dataSync();
      parameters.update(gradients, 1e-6);
      evaluation!(images, labels)[0]!.dataSync();
    });
  } finally {
    step!.dispose();
    evaluation!.dispose();
    parameters.dispose();
  }
}
