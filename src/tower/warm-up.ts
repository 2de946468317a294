/**
 * Before a GPU's first step: a step of the tower's own part of the net, with nobody to exchange with. CUDA loads its
 * libraries then, and for a card that is newer than TensorFlow's kernels the driver compiles them, which can take many
 * minutes; nobody waits for the tower meanwhile but who opened it.
 */
import * as tf from '@tensorflow/tfjs';
import type { Gather, Run } from '../model/forward.js';
import { maskOf } from '../model/init.js';
import { type Net, parametersOf } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { referenceForward } from '../model/reference.js';
import { runSegment, segmentsOf } from '../model/segments.js';
import { towerForward } from '../model/tower-net.js';
import { compile } from '../native/graph/compile.js';
import { halfSquares } from '../native/layers/half-squares.js';
import { statelessUniform } from '../native/layers/stateless-random.js';
import { Parameters } from './parameters.js';
import type { Part, TowerSetup } from './protocol.js';

/** Enough for every kernel to have work, and little memory. */
const MOST_IMAGES = 2;

/** What a tower is, as far as its kernels go. */
export type WarmUp = Pick<TowerSetup, 'device' | 'part' | 'optimizer' | 'seed' | 'batchSize'>;

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
  const [training, evaluation] = [true, false].map((isTraining) =>
    compile((images, labels, ...values) => {
      const byName = new Map(parameters.names.map((name, i) => [name, values[i]!]));
      return passOf(net, part, images as tf.Tensor4D, labels as tf.Tensor1D, {
        ...{ ops, parameters: byName, training: isTraining },
        mask: (layer, _tower, batch, channels) => maskFor(net, layer, [batch, channels]),
      });
    }),
  );
  try {
    tf.tidy(() => {
      const count = Math.min(batchSize, MOST_IMAGES);
      const images = tf.fill([count, inputSize, inputSize, inputChannels], 0.5);
      const labels = tf.zeros([count], 'int32');
      const step = (...values: tf.Tensor[]) => training!(images, labels, ...values)[0] as tf.Scalar;
      const { grads } = tf.valueAndGrads(step)(parameters.read());
      halfSquares(grads).dataSync();
      parameters.update(grads, 1e-6);
      for (const each of evaluation!(images, labels, ...parameters.read())) each.dataSync();
    });
  } finally {
    training!.dispose();
    evaluation!.dispose();
    parameters.dispose();
  }
}

/** Loss and logits, or of a tower that only sends in the end a scalar of what it sends. */
function passOf(net: Net, part: Part, images: tf.Tensor4D, labels: tf.Tensor1D, run: Run): tf.Tensor[] {
  if (part === 'whole') return ending(referenceForward(net, images, run), labels, run);
  const withItself: Gather = (own, { home }) =>
    home === undefined || home === part ? tf.concat([own, own], own.rank - 1) : tf.mean(own);
  const found = towerForward(segmentsOf(net), part, images, withItself, (segment, x) =>
    runSegment(segment, part, x, run),
  );
  return 'sent' in found ? [found.sent] : ending(found.output as tf.Tensor2D, labels, run);
}

function ending(logits: tf.Tensor2D, labels: tf.Tensor1D, { ops }: Run): tf.Tensor[] {
  return [ops.crossEntropy(logits, labels), logits];
}

/** Its numbers are the same each time, which nobody sees. */
function maskFor({ layers }: Net, name: string, shape: [number, number]): tf.Tensor {
  const layer = layers.find((each) => each.kind === 'dropout' && each.name === name);
  const keep = layer?.kind === 'dropout' ? layer.keep : 1;
  return maskOf(statelessUniform(shape, tf.tensor1d([0, 0], 'int32')), keep);
}
