/** Runs a tower's part of the net: segment by segment, each as it is or compiled. */
import * as tf from '@tensorflow/tfjs';
import { kernelHalves, OWN_KERNEL, OWN_PART, PEER_KERNEL } from '../model/early.js';
import type { Captured, Gather, Halves } from '../model/forward.js';
import type { Net, TowerIndex } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { towerForward } from '../model/tower-net.js';
import { type Compiled, compile } from '../native/graph/compile.js';
import { type OwnSegment, ownSegments, wholeNet } from './own-segments.js';
import { modeOf } from './parameters.js';
import type { Part, TowerSetup } from './protocol.js';
import { type CapturedNames, functionOf, seedsOf } from './segment-function.js';

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
  /** Where it is given, segments begin with the tower's own half before the peer's has come. */
  halves?: Halves | undefined;
}

/** The last layer's tower has a loss and logits [B, K]; the other one the scalar that it sent. */
export type Outcome = { loss: tf.Scalar; logits: tf.Tensor2D } | { sent: tf.Tensor };

/** A segment as a function of tensors, and the names of what it captures after its results. */
interface Callable {
  call: (...inputs: tf.Tensor[]) => tf.Tensor[];
  captured: CapturedNames;
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
    const tower = part === 'whole' ? 0 : part;
    const runOne = (segment: OwnSegment, x: tf.Tensor) => {
      last = this.#runOne(segment, x, pass);
      return last[0]!;
    };
    const runEarly = (segment: OwnSegment, own: tf.Tensor) => {
      if (!pass.halves || !segment.early) return undefined;
      last = this.#runEarly(segment.early, tower, own, pass.halves, pass);
      return last[0]!;
    };
    const end = towerForward(this.#segments, tower, pass.images, pass.gather, runOne, runEarly);
    if ('sent' in end) return end;
    const [loss, logits] = last;
    return { loss: loss as tf.Scalar, logits: logits as tf.Tensor2D };
  }

  /** Frees the traces. */
  dispose(): void {
    for (const { compiled } of this.#callables.values()) compiled?.dispose();
    this.#callables.clear();
  }

  /** The order is the point: what is sent, the own half's work, what is received; on the tape too, where it is mirrored. */
  #runEarly(
    { segment, ownPart, rest }: NonNullable<OwnSegment['early']>,
    tower: TowerIndex,
    own: tf.Tensor,
    halves: Halves,
    pass: Pass,
  ): tf.Tensor[] {
    const site = segment.site!;
    const sent = halves.send(own, site);
    const kernels = kernelHalves(pass.parameters.get(segment.kernel)!, segment.first);
    const withMore = (more: [string, tf.Tensor][]) => ({ ...pass, parameters: new Map([...pass.parameters, ...more]) });
    const [part] = this.#runOne(ownPart, own, withMore([[OWN_KERNEL, kernels[tower]]]));
    const peer = halves.receive(sent, own.shape, site);
    const tensor = () => tf.concat(tower === 0 ? [own, peer] : [peer, own], own.rank - 1);
    pass.capture?.({ name: `tower${tower}/${site.name}/input`, layer: site.name, kind: 'input', tensor: tensor() });
    const more: [string, tf.Tensor][] = [
      [PEER_KERNEL, kernels[1 - tower]!],
      [OWN_PART, part!],
    ];
    return this.#runOne(rest, peer, withMore(more));
  }

  #runOne(segment: OwnSegment, x: tf.Tensor, pass: Pass): tf.Tensor[] {
    const { seed } = this.#options;
    const callable = this.#callable(segment, pass.training, pass.capture !== undefined);
    const parameters = segment.names.map((name) => pass.parameters.get(name)!);
    const seeds = pass.training ? seedsOf(segment, seed, pass.step) : [];
    const results = callable.call(x, ...parameters, ...seeds, ...(segment.isLast ? [pass.labels] : []));
    const count = segment.isLast ? 2 : 1;
    for (const [i, each] of callable.captured.entries()) pass.capture?.({ ...each, tensor: results[count + i]! });
    return results.slice(0, count);
  }

  #callable(segment: OwnSegment, training: boolean, keeps: boolean): Callable {
    const { compile: mode, ops } = this.#options;
    const key = `${segment.key} ${training} ${keeps}`;
    const found = this.#callables.get(key);
    if (found) return found;
    const callable: Callable = { call: () => [], captured: [] };
    const captured = (names: CapturedNames) => {
      callable.captured = names;
    };
    callable.call = functionOf(segment, { ops, training, ...(keeps && { captured }) });
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
}
