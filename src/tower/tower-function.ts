/** The passes of a tower, each as one compiled TensorFlow function: training, evaluation, and with what a comparison needs. */
import tf = require('@tensorflow/tfjs');

import type { Exchanger } from '../exchange/all-gather.js';
import type { Captured } from '../model/forward.js';
import { ownBinding } from '../native/binding/backend.js';
import { type Compiled, compile } from '../native/graph/compile.js';
import type { GradientSum } from './average.js';
import { messageExchanger, messageNotices } from './exchangers.js';
import { type HostAction, HostQueues, hostExchanger, hostNotices, recordHooks, serve } from './host-work.js';
import { NetPart, type PartOptions, type PassHooks, type PassInputs, type PassKind, type PassResult } from './pass.js';
import type { Peer, Waits } from './peer.js';
import type { TowerSetup } from './protocol.js';

export interface TowerFunctionOptions extends PartOptions {
  seed: number;
  /** `off`: op by op; `xla`: for the whole net only, because XLA's functions can neither send nor receive. */
  compile: TowerSetup['compile'];
  /** Returns the parameters' values, in order; the caller disposes them. */
  readParameters(): tf.Tensor[];
  peer?: Peer | undefined;
  /** Of a tower that has a peer, or others with the same part. */
  waits?: Waits | undefined;
  average?: GradientSum | undefined;
  /** In place of a peer that is not there yet. */
  exchanger?: Exchanger;
}

/** The inputs that come with a batch. */
export type PassBatch = Pick<PassInputs, 'images' | 'noise' | 'labels' | 'share'>;

/** Receives the answers of a pass, in this order. */
export type Answering = Pick<PassHooks, 'onForward' | 'onGradients'>;

/** A pass that was recorded, for each number of images. */
interface Recorded {
  compiled: Compiled;
  /** By number of images: what the host does while it runs. */
  actions: Map<number, HostAction[]>;
  captured: Omit<Captured, 'tensor'>[];
}

/**
 * The compiled passes of a tower. The function's nodes are on the tower's device, so activations stay there and are freed as
 * soon as their gradient is computed. It sends and receives by queues, which this thread serves while it runs
 * (`host-work.ts`); meanwhile it computes what does not depend on the peer. With `compile` `off` the same pass runs op by op.
 */
export class TowerFunction {
  readonly #part: NetPart;
  readonly #options: TowerFunctionOptions;
  readonly #recorded = new Map<string, Recorded>();
  readonly #queues: HostQueues | undefined;

  constructor(options: TowerFunctionOptions) {
    this.#options = options;
    this.#part = new NetPart(options);
    const { peer, waits, compile } = options;
    if (waits && compile !== 'off') this.#queues = new HostQueues(peer?.dtype ?? 'float32');
  }

  /**
   * Runs a pass. The batch stays the caller's; the caller, or `tf.tidy`, disposes the result.
   * @throws also what `answering` throws; the pass has ended then.
   */
  run({ step, ...batch }: PassBatch & { step: number }, kind: PassKind, answering: Answering): PassResult {
    const seeds = kind.training ? this.#part.seeds(this.#options.seed, step) : [];
    try {
      return this.#options.compile === 'off'
        ? this.#opByOp({ ...batch, seeds }, kind, step, answering)
        : this.#asFunction({ ...batch, seeds }, kind, step, answering);
    } finally {
      tf.dispose(seeds);
    }
  }

  dispose(): void {
    try {
      for (const { compiled } of this.#recorded.values()) compiled.dispose();
    } finally {
      this.#recorded.clear();
      // A queue is rather left than destroyed while another thread cancels it.
      if (this.#options.waits?.withdrawCancellation()) this.#queues?.dispose();
    }
  }

  #opByOp(inputs: Omit<PassInputs, 'parameters'>, kind: PassKind, step: number, answering: Answering): PassResult {
    const { peer, waits, average, readParameters } = this.#options;
    const exchanger =
      peer &&
      (peer.device?.exchanger(false, messageNotices(peer.transport, step)) ??
        messageExchanger(peer.transport, peer.dtype, step));
    const binding = ownBinding();
    binding.cancellation = waits?.runsWhile.cancellation; // for ops that wait at a queue
    try {
      const hooks = { ...answering, exchanger, average: average && ((own: tf.Tensor[]) => average.sum(own, false)) };
      return this.#part.run({ ...inputs, parameters: readParameters() }, kind, hooks);
    } finally {
      binding.cancellation = undefined;
    }
  }

  #asFunction(
    { images, labels, noise, seeds, share }: Omit<PassInputs, 'parameters'>,
    kind: PassKind,
    step: number,
    answering: Answering,
  ): PassResult {
    const recorded = this.#recordedFor(kind);
    const { compiled, actions } = recorded;
    const shared = share ? [share.begin, share.weight] : [];
    const inputs = [images, labels, ...(noise ? [noise] : []), ...shared, ...seeds];
    const { peer, waits } = this.#options;
    if (!waits) {
      const { squares, ...result } = this.#resultOf(compiled(...inputs), recorded, kind);
      answering.onForward(result.value, result.logits);
      if (squares) answering.onGradients(squares);
      squares?.dispose();
      return result;
    }
    // The first call with so many images records the actions.
    const work = () => serve(actions.get(images.shape[0])!, this.#queues!, step, peer?.transport, answering);
    try {
      const results = compiled.runWhile(waits.runsWhile, () => tf.tidy(work), ...inputs);
      const { squares, ...result } = this.#resultOf(results, recorded, kind);
      squares?.dispose();
      return result;
    } catch (error) {
      this.#queues!.clear();
      throw error;
    }
  }

  #recordedFor(kind: PassKind): Recorded {
    const key = `${kind.training} ${kind.keep}`;
    const found = this.#recorded.get(key);
    if (found) return found;
    const { compile: mode, readParameters } = this.#options;
    const { average, normalizer } = this.#options;
    const fn = (images: tf.Tensor, labels: tf.Tensor, ...more: tf.Tensor[]): tf.Tensor[] => {
      const noise = normalizer?.hasNoise && kind.training ? more.shift() : undefined;
      const [begin, weight] = average && kind.training ? more.splice(0, 2) : [];
      const share = weight && { begin, weight };
      const inputs = { images, labels, noise, share, seeds: more, parameters: readParameters() } as PassInputs;
      let squares: tf.Scalar | undefined;
      const hooks = this.#hooks(recorded, images.shape[0]!);
      const onGradients: PassHooks['onGradients'] = (found) => {
        squares = found;
        hooks.onGradients(found);
      };
      const { value, logits, gradients, captured } = this.#part.run(inputs, kind, { ...hooks, onGradients });
      recorded.captured = captured.map(({ name, layer, kind }) => ({ name, layer, kind }));
      const answers = [value, ...(logits ? [logits] : []), ...(squares ? [squares] : [])];
      return [...answers, ...gradients, ...captured.map(({ tensor }) => tensor)];
    };
    const recorded: Recorded = {
      compiled: compile(fn, { mode: mode === 'xla' ? 'xla' : 'graph' }),
      ...{ actions: new Map(), captured: [] },
    };
    this.#recorded.set(key, recorded);
    return recorded;
  }

  /** The hooks while a pass over so many images is recorded. */
  #hooks(recorded: Recorded, images: number): PassHooks {
    const { peer, waits, average, exchanger } = this.#options;
    if (!waits) return { exchanger, onForward: () => {}, onGradients: () => {} };
    const [queues, actions] = [this.#queues!, [] as HostAction[]];
    recorded.actions.set(images, actions);
    const own = peer && (peer.device?.exchanger(true, hostNotices(queues, actions)) ?? hostExchanger(queues, actions));
    const hooks = recordHooks(queues, actions, own);
    return average ? { ...hooks, average: (gradients) => average.sum(gradients, true) } : hooks;
  }

  #resultOf(
    results: readonly tf.Tensor[],
    { captured }: Recorded,
    { training }: PassKind,
  ): PassResult & { squares: tf.Scalar | undefined } {
    const left = [...results];
    const value = left.shift() as tf.Scalar;
    const logits = this.#part.hasLast ? (left.shift() as tf.Tensor2D) : undefined;
    const squares = training ? (left.shift() as tf.Scalar) : undefined;
    const kept = left.splice(left.length - captured.length);
    return {
      ...{ value, logits, squares, gradients: left },
      captured: captured.map((each, i) => ({ ...each, tensor: kept[i]! })),
    };
  }
}
