/** Runs a tower's part of the net: segment by segment, each as it is or compiled. */
import type * as tf from '@tensorflow/tfjs';
import type { Captured, Gather, Run } from '../model/forward.js';
import { maskOf, maskSeed } from '../model/init.js';
import { homesOf, isWeighted, type Net, type PlacedLayer, parametersOf, type TowerIndex } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { referenceForward } from '../model/reference.js';
import { runSegment, type Segment, segmentsOf } from '../model/segments.js';
import { towerForward } from '../model/tower-net.js';
import { type Compiled, compile } from '../native/compile.js';
import { statelessUniform } from '../native/random.js';
import { tensorFrom } from '../native/tensors.js';
import { modeOf } from './parameters.js';
import type { Part, TowerSetup } from './protocol.js';

export interface RunnerOptions {
  net: Net;
  part: Part;
  ops: Ops;
  seed: number;
  /** `off`: every op by itself. */
  compile: TowerSetup['compile'];
}

/** One pass. */
export interface Pass {
  images: tf.Tensor4D;
  /** int32 [B] */
  labels: tf.Tensor1D;
  /** By name. */
  parameters: ReadonlyMap<string, tf.Tensor>;
  step: number;
  training: boolean;
  /** Takes what is captured on the way. */
  capture?: ((value: Captured) => void) | undefined;
  gather: Gather;
}

/** The last layer's tower has a loss and logits [B, K]; the other one the scalar that it sent. */
export type Outcome = { loss: tf.Scalar; logits: tf.Tensor2D } | { sent: tf.Tensor };

/** A segment as a tower runs it; the whole net is one. */
interface OwnSegment extends Segment {
  /** Names of its parameters. */
  names: readonly string[];
  /** Its dropout layers, once for each tower that it has of them. */
  dropouts: readonly { layer: string; tower: TowerIndex; keep: number }[];
  isFirst: boolean;
  isLast: boolean;
  compute(x: tf.Tensor, run: Run): tf.Tensor;
}

/** A segment as a function of tensors, and the names of what it captures after its results. */
interface Callable {
  call: (...inputs: tf.Tensor[]) => tf.Tensor[];
  captured: Omit<Captured, 'tensor'>[];
  compiled?: Compiled;
}

export class Runner {
  readonly #options: RunnerOptions;
  readonly #segments: readonly OwnSegment[];
  readonly #callables = new Map<string, Callable>();

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#segments = options.part === 'whole' ? [wholeNet(options.net)] : ownSegments(options.net, options.part);
  }

  /** A pass through the net, on the tape when one records. */
  run(pass: Pass): Outcome {
    const { part } = this.#options;
    let last: tf.Tensor[] = [];
    // The whole net has no layer of another tower.
    const end = towerForward(this.#segments, part === 'whole' ? 0 : part, pass.images, pass.gather, (segment, x) => {
      last = this.#runOne(segment, x, pass);
      return last[0]!;
    });
    if ('sent' in end) return end;
    const [loss, logits] = last;
    return { loss: loss as tf.Scalar, logits: logits as tf.Tensor2D };
  }

  /** Frees the traces. */
  dispose(): void {
    for (const { compiled } of this.#callables.values()) compiled?.dispose();
    this.#callables.clear();
  }

  #runOne(segment: OwnSegment, x: tf.Tensor, pass: Pass): tf.Tensor[] {
    const { seed } = this.#options;
    const callable = this.#callable(segment, pass.training, pass.capture !== undefined);
    const parameters = segment.names.map((name) => pass.parameters.get(name)!);
    const seeds = pass.training
      ? segment.dropouts.map(({ layer, tower }) => {
          const words = maskSeed({ seed, layer, tower, step: pass.step });
          return tensorFrom([2], Int32Array.from(words));
        })
      : [];
    const results = callable.call(x, ...parameters, ...seeds, ...(segment.isLast ? [pass.labels] : []));
    const count = segment.isLast ? 2 : 1;
    for (const [i, each] of callable.captured.entries()) pass.capture?.({ ...each, tensor: results[count + i]! });
    return results.slice(0, count);
  }

  #callable(segment: OwnSegment, training: boolean, keeps: boolean): Callable {
    const { compile: mode } = this.#options;
    const key = `${this.#segments.indexOf(segment)} ${training} ${keeps}`;
    const found = this.#callables.get(key);
    if (found) return found;
    const callable: Callable = { call: () => [], captured: [] };
    callable.call = this.#functionOf(segment, training, keeps, callable);
    if (mode !== 'off') {
      const seeds = training ? segment.dropouts.length : 0;
      const gradients = [!segment.isFirst, ...segment.names.map(() => true), ...Array(seeds).fill(false)];
      callable.compiled = compile(callable.call, {
        mode: modeOf(mode),
        gradients: segment.isLast ? [...gradients, false] : gradients,
      });
      callable.call = callable.compiled;
    }
    this.#callables.set(key, callable);
    return callable;
  }

  /** The segment as a function of x, parameters, seeds and, the last one, labels: nothing of a step is in it. */
  #functionOf(segment: OwnSegment, training: boolean, keeps: boolean, into: Callable) {
    const { ops } = this.#options;
    const { names, dropouts } = segment;
    return (...inputs: tf.Tensor[]): tf.Tensor[] => {
      const parameters = new Map(names.map((name, i) => [name, inputs[1 + i]!]));
      const captured: Captured[] = [];
      const run: Run = {
        ...{ ops, parameters, training },
        mask: (layer, tower, batch, channels) => {
          const i = dropouts.findIndex((each) => each.layer === layer && each.tower === tower);
          return maskOf(statelessUniform([batch, channels], inputs[1 + names.length + i]!), dropouts[i]!.keep);
        },
        ...(keeps && { capture: (each: Captured) => captured.push(each) }),
      };
      const y = segment.compute(inputs[0]!, run);
      const results = segment.isLast ? [ops.crossEntropy(y as tf.Tensor2D, inputs.at(-1) as tf.Tensor1D), y] : [y];
      into.captured = captured.map(({ name, layer, kind }) => ({ name, layer, kind }));
      return [...results, ...captured.map(({ tensor }) => tensor)];
    };
  }
}

function ownSegments(net: Net, tower: TowerIndex): OwnSegment[] {
  const segments = segmentsOf(net);
  return segments.map((segment, i) => ({
    ...segment,
    names: namesOf(net, segment.layers, [tower]),
    dropouts: dropoutsOf(segment.layers).filter((each) => each.tower === tower),
    isFirst: i === 0,
    isLast: i === segments.length - 1,
    compute: (x, run) => runSegment(segment, tower, x, run),
  }));
}

function wholeNet(net: Net): OwnSegment {
  return {
    layers: net.layers,
    names: namesOf(net, net.layers, [0, 1]),
    dropouts: dropoutsOf(net.layers),
    isFirst: true,
    isLast: true,
    compute: (x, run) => referenceForward(net, x as tf.Tensor4D, run),
  };
}

function namesOf(net: Net, layers: readonly PlacedLayer[], towers: readonly TowerIndex[]): string[] {
  const names = new Set(layers.filter(isWeighted).map(({ name }) => name));
  return parametersOf(net)
    .filter(({ layer, tower }) => names.has(layer) && towers.includes(tower))
    .map(({ name }) => name);
}

function dropoutsOf(layers: readonly PlacedLayer[]): OwnSegment['dropouts'] {
  const homes = homesOf(layers);
  return layers.flatMap((each, i) => {
    if (each.kind !== 'dropout') return [];
    const towers: readonly TowerIndex[] = homes[i] === undefined ? [0, 1] : [homes[i]];
    return towers.map((tower) => ({ layer: each.name, tower, keep: each.keep }));
  });
}
