/** Every pass of a tower as one TensorFlow function: what trains, what evaluates, what a comparison looks at. */
import tf = require('@tensorflow/tfjs');

import type { Dtype, Transport } from '../exchange/index.js';
import type { Captured } from '../model/forward.js';
import { ownBinding } from '../native/binding/backend.js';
import { type Compiled, compile } from '../native/graph/compile.js';
import { Cancellation, type RunsWhile } from '../native/graph/run-while.js';
import { type DeviceExchange, messageExchanger, messageNotices } from './exchangers.js';
import { type HostAction, HostQueues, hostExchanger, hostNotices, recordHooks, serve } from './host-work.js';
import { NetPart, type PartOptions, type PassHooks, type PassInputs, type PassKind, type PassResult } from './pass.js';
import type { TowerSetup } from './protocol.js';

/** How a tower reaches its peer. */
export interface Peer {
  transport: Transport;
  /** Of what goes by `transport`. */
  dtype: Dtype;
  /** Where tensors go from device to device. */
  device?: DeviceExchange | undefined;
  /** Tells other threads in which executor a function runs, and 0 when it does no more. */
  noteExecutor(address: bigint): void;
  /** Tells other threads what ends the function that runs. */
  noteCancellation(address: bigint): void;
  /** Has no thread do so any more. @returns false where one may yet. */
  withdrawCancellation(): boolean;
}

export interface TowerFunctionOptions extends PartOptions {
  seed: number;
  /** `off`: op by op; `xla`: for the whole net alone, for XLA's functions neither send nor receive. */
  compile: TowerSetup['compile'];
  /** The parameters' values, in order; the caller's. */
  readParameters(): tf.Tensor[];
  /** Not for the whole net. */
  peer?: Peer | undefined;
}

/** What is done with the answers of a pass, in the order in which they come. */
export type Answering = Pick<PassHooks, 'onForward' | 'onGradients'>;

/** A pass that was recorded, of each number of images. */
interface Recorded {
  compiled: Compiled;
  /** What the thread does beside it, and how many bytes go from device to device. */
  besides: Map<number, { actions: HostAction[]; deviceBytes: number }>;
  captured: Omit<Captured, 'tensor'>[];
}

/**
 * A tower's passes. TensorFlow has each in one piece, so activations stay within it, and are freed when their gradient is
 * made. Its nodes are on the tower's device, and it is called on the host, where the queues are by which it sends and
 * receives while it runs (`host-work.ts`); meanwhile it computes what does not wait for the peer. With `compile` `off` the
 * same pass runs op by op.
 */
export class TowerFunction {
  readonly #part: NetPart;
  readonly #options: TowerFunctionOptions;
  readonly #recorded = new Map<string, Recorded>();
  readonly #queues: HostQueues | undefined;
  /** What its functions are run with while the thread does other work; not of the whole net. */
  readonly runsWhile: RunsWhile | undefined;
  /** Bytes that went from device to device since they were asked for. */
  #deviceBytes = 0;

  constructor(options: TowerFunctionOptions) {
    this.#options = options;
    this.#part = new NetPart(options);
    const { peer } = options;
    if (!peer) return;
    const { noteExecutor, noteCancellation } = peer;
    this.runsWhile = { cancellation: new Cancellation(), noteExecutor, noteCancellation };
    if (options.compile !== 'off') this.#queues = new HostQueues(peer.dtype);
    peer.noteCancellation(this.runsWhile.cancellation.address);
  }

  /**
   * @param inputs stay the caller's.
   * @throws what `answering` throws, too: nothing runs any more then.
   * @returns the caller's, or `tf.tidy`'s.
   */
  run(
    { images, labels, step }: Pick<PassInputs, 'images' | 'labels'> & { step: number },
    kind: PassKind,
    answering: Answering,
  ): PassResult {
    const seeds = kind.training ? this.#part.seeds(this.#options.seed, step) : [];
    try {
      return this.#options.compile === 'off'
        ? this.#opByOp({ images, labels, seeds }, kind, step, answering)
        : this.#asFunction({ images, labels, seeds }, kind, step, answering);
    } finally {
      tf.dispose(seeds);
    }
  }

  /** Bytes that went from device to device since the last call. */
  takeDeviceBytes(): number {
    const bytes = this.#deviceBytes;
    this.#deviceBytes = 0;
    return bytes;
  }

  /** Frees the functions, and then the queues. */
  dispose(): void {
    try {
      for (const { compiled } of this.#recorded.values()) compiled.dispose();
    } finally {
      this.#recorded.clear();
      // Better a queue that stays than one that is destroyed while a cancellation of it is being started.
      if (this.#options.peer?.withdrawCancellation()) this.#queues?.dispose();
    }
  }

  #opByOp(inputs: Omit<PassInputs, 'parameters'>, kind: PassKind, step: number, answering: Answering): PassResult {
    const { peer, readParameters } = this.#options;
    const onSend = (bytes: number) => {
      this.#deviceBytes += bytes;
    };
    const exchanger =
      peer &&
      (peer.device?.exchanger(false, messageNotices(peer.transport, step), onSend) ??
        messageExchanger(peer.transport, peer.dtype, step));
    // What waits at a queue is ended as a function is.
    const binding = ownBinding();
    binding.cancellation = this.runsWhile?.cancellation.address;
    try {
      return this.#part.run({ ...inputs, parameters: readParameters() }, kind, { ...answering, exchanger });
    } finally {
      binding.cancellation = undefined;
    }
  }

  #asFunction(
    { images, labels, seeds }: Omit<PassInputs, 'parameters'>,
    kind: PassKind,
    step: number,
    answering: Answering,
  ): PassResult {
    const recorded = this.#recordedFor(kind);
    const { compiled, besides } = recorded;
    const inputs = [images, labels, ...seeds];
    const peer = this.#options.peer;
    if (!peer) {
      const { squares, ...result } = this.#resultOf(compiled(...inputs), recorded, kind);
      // In one piece: all of it is there.
      answering.onForward(result.value, result.logits);
      if (squares) answering.onGradients(squares);
      squares?.dispose();
      return result;
    }
    const [queues, by] = [this.#queues!, this.runsWhile!];
    // The first call with so many images records what is to be done.
    const beside = () => besides.get(images.shape[0])!;
    const work = () => serve(beside().actions, queues, step, peer.transport, answering);
    try {
      const results = compiled.runWhile(by, () => tf.tidy(work), ...inputs);
      this.#deviceBytes += beside().deviceBytes;
      const { squares, ...result } = this.#resultOf(results, recorded, kind);
      squares?.dispose();
      return result;
    } catch (error) {
      queues.clear();
      throw error;
    }
  }

  #recordedFor(kind: PassKind): Recorded {
    const key = `${kind.training} ${kind.keep}`;
    const found = this.#recorded.get(key);
    if (found) return found;
    const { compile: mode, readParameters } = this.#options;
    const fn = (images: tf.Tensor, labels: tf.Tensor, ...seeds: tf.Tensor[]): tf.Tensor[] => {
      const inputs = {
        images: images as tf.Tensor4D,
        labels: labels as tf.Tensor1D,
        seeds,
        parameters: readParameters(),
      };
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
      ...{ besides: new Map(), captured: [] },
    };
    this.#recorded.set(key, recorded);
    return recorded;
  }

  /** Hooks for the recording of a pass over so many images. */
  #hooks(recorded: Recorded, images: number): PassHooks {
    const { peer } = this.#options;
    if (!peer) return { exchanger: undefined, onForward: () => {}, onGradients: () => {} };
    const beside = { actions: [] as HostAction[], deviceBytes: 0 };
    recorded.besides.set(images, beside);
    const onSend = (bytes: number) => {
      beside.deviceBytes += bytes;
    };
    const notices = hostNotices(this.#queues!, beside.actions);
    const exchanger = peer.device?.exchanger(true, notices, onSend) ?? hostExchanger(this.#queues!, beside.actions);
    return recordHooks(this.#queues!, beside.actions, exchanger);
  }

  /** The function's results by what they are. */
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
