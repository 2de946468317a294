/** A tower's step up to its gradients as one call: forward, backward, and what the update's check reads. */
import * as tf from '@tensorflow/tfjs';
import { gather } from '../exchange/index.js';
import type { Gather } from '../model/forward.js';
import type { Net } from '../model/net.js';
import type { Ops } from '../model/ops.js';
import { towerForward } from '../model/tower-net.js';
import { currentBinding } from '../native/binding/backend.js';
import { type Compiled, compile } from '../native/graph/compile.js';
import { Passage } from '../native/graph/host-queue.js';
import { halfSquares } from '../native/layers/half-squares.js';
import { type Action, accompany, type OnTheWay, recorder } from './accompany.js';
import { type OwnSegment, ownSegments, wholeNet } from './own-segments.js';
import { modeOf, type Parameters } from './parameters.js';
import type { Part, TowerSetup } from './protocol.js';
import { functionOf, seedsOf } from './segment-function.js';

export interface WholeStepOptions {
  net: Net;
  part: Part;
  ops: Ops;
  seed: number;
  /** How; a part of the net not by XLA, which has no way out of its functions. */
  compile: TowerSetup['compile'];
  /** The part's. */
  parameters: Pick<Parameters, 'names' | 'readEach'>;
  /** The site where halves are put together in the wrong order: a fault, for tests. */
  swapAt?: string | undefined;
}

/** What a step leaves; the caller's. */
export interface WholeStepResult {
  /** See `halfSquares`. */
  squares: tf.Scalar;
  /** In the parameters' order. */
  gradients: tf.Tensor[];
}

/**
 * Whether a tower's step can be one call: XLA has no way out of its functions, TensorFlow's queues are on CPUs, and an own
 * half that is worked on first is another way through the net.
 */
export function isOneCall({ part, compile, exchange }: TowerSetup): boolean {
  if (part === 'whole') return compile !== 'off';
  return compile !== 'off' && compile !== 'xla' && !exchange.overlap && !currentBinding().isUsingGpuDevice();
}

/**
 * TensorFlow has the step in one piece: activations stay within it, and are freed when their gradient is made. A tower's
 * function hands what is to be sent to JavaScript, and goes on with what JavaScript was sent; meanwhile it computes what
 * does not wait for that. On a CPU.
 */
export class WholeStep {
  readonly #compiled: Compiled;
  readonly #segments: readonly OwnSegment[];
  readonly #seed: number;
  readonly #count: number;
  /** Where there is a peer. */
  readonly #passage: Passage | undefined;
  /** By the number of images: what is done beside the function that was recorded for it. */
  readonly #actions = new Map<number, Action[]>();

  /** @throws NativeError for a part of the net on another device than a CPU. */
  constructor({ net, part, ops, seed, compile: mode, parameters, swapAt }: WholeStepOptions) {
    const { names } = parameters;
    this.#segments = part === 'whole' ? [wholeNet(net)] : ownSegments(net, part);
    this.#seed = seed;
    this.#count = names.length;
    const passage = part === 'whole' ? undefined : new Passage();
    this.#passage = passage;
    const functions = new Map(this.#segments.map((each) => [each, functionOf(each, { ops, training: true })]));
    const tower = part === 'whole' ? 0 : part;

    const step = (images: tf.Tensor, labels: tf.Tensor, ...seeds: tf.Tensor[]): tf.Tensor[] => {
      const left = [...seeds];
      const logits: tf.Tensor[] = [];
      const actions: Action[] = [];
      this.#actions.set(images.shape[0]!, actions);
      const way = passage && recorder(passage, actions);
      const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
        const byName = new Map(names.map((name, i) => [name, values[i]!]));
        const runOne = (segment: OwnSegment, x: tf.Tensor): tf.Tensor => {
          const own = [...segment.names.map((name) => byName.get(name)!), ...left.splice(0, segment.dropouts.length)];
          const [y, scores] = functions.get(segment)!(x, ...own, ...(segment.isLast ? [labels] : []));
          if (scores) logits.push(tf.keep(scores)); // the tape's scope would dispose of it
          return y!;
        };
        const meet: Gather = (own, site) => gather(own, site, tower, 0, way!, swapAt === site.name);
        const end = towerForward(this.#segments, tower, images as tf.Tensor4D, meet, runOne);
        const last = 'sent' in end ? end.sent : end.output;
        actions.push({ kind: 'turn', hasLoss: logits.length > 0 });
        for (const each of logits.length > 0 ? [last, ...logits] : []) passage?.out(each);
        return last as tf.Scalar;
      })(parameters.readEach());
      const squares = halfSquares(grads);
      actions.push({ kind: 'end' });
      passage?.out(squares);
      const results = [squares, ...grads, value, ...logits.map((each) => each.clone())];
      tf.dispose(logits);
      return results;
    };
    this.#compiled = compile(step, { mode: modeOf(mode) });
  }

  /**
   * @param images float32 [B, N, N, C]
   * @param labels int32 [B]
   * @throws what `way` throws, too: nothing runs any more then.
   */
  run(images: tf.Tensor4D, labels: tf.Tensor1D, step: number, way: OnTheWay): WholeStepResult {
    const seeds = this.#segments.flatMap((segment) => seedsOf(segment, this.#seed, step));
    const inputs = [images, labels, ...seeds];
    const passage = this.#passage;
    const call = (): tf.Tensor[] => {
      if (!passage) return this.#compiled(...inputs);
      // The first call with so many images records what is to be done.
      const work = () => accompany(this.#actions.get(images.shape[0])!, passage, step, way);
      return this.#compiled.beside(passage, () => tf.tidy(work), ...inputs);
    };
    try {
      const [squares, ...gradients] = call();
      const answers = gradients.splice(this.#count);
      if (!passage) way.turn(answers[0] as tf.Scalar, answers[1] as tf.Tensor2D);
      tf.dispose(answers);
      return { squares: squares as tf.Scalar, gradients };
    } finally {
      tf.dispose(seeds);
    }
  }

  /** Frees the traces. */
  dispose(): void {
    this.#compiled.dispose();
    this.#passage?.dispose();
  }
}
