/** A tower: a part of the net on one device, in the thread that made it. */
import tf = require('@tensorflow/tfjs');

import { slotViews } from '../data/batches/slots.js';
import { ExchangeError } from '../errors.js';
import { isAborted } from '../exchange/index.js';
import { buildNet, type Net, parametersOf, volume } from '../model/net.js';
import { TFJS_OPS } from '../model/ops.js';
import { backingDevice, currentBinding, useDevice } from '../native/binding/backend.js';
import { borrowTensor } from '../native/binding/borrow.js';
import { copyTensor, settle, tensorFrom } from '../native/binding/tensors.js';
import { isCancelled } from '../native/c/status.js';
import { checkGradients, exchangeNorms, type Norms } from './gradient-check.js';
import { KeptTensors } from './kept.js';
import { type LayerActivations, measure, openMeasure } from './layer-statistics.js';
import { type NativeOps, nativeOps } from './native-ops.js';
import { Parameters } from './parameters.js';
import type { PassKind } from './pass.js';
import { peerOf } from './peer.js';
import type {
  BatchCommand,
  EvaluateReply,
  OpenReply,
  SelfTestReply,
  StepCommand,
  StepReply,
  TensorInfo,
  TensorKind,
  TowerSetup,
} from './protocol.js';
import { type Answers, answersOf, countRight } from './scores.js';
import { selfTest } from './self-test.js';
import { fileMetadata } from './snapshot.js';
import { type Answering, type Peer, TowerFunction } from './tower-function.js';
import { warmUp } from './warm-up.js';

/** Runs the commands of one tower. Not to be shared between threads. */
export class Tower {
  readonly #setup: TowerSetup;
  readonly #net: Net;
  readonly #parameters: Parameters;
  readonly #ops: NativeOps | undefined;
  readonly #peer: Peer | undefined;
  readonly #function: TowerFunction;
  readonly #kept = new KeptTensors();

  /** @throws SetupError, NativeError for a device that is not there; ConfigError for a net that does not fit. */
  constructor(setup: TowerSetup) {
    useDevice(setup.device, setup.context);
    const { part, net, seed, compile } = setup;
    this.#setup = setup;
    this.#net = buildNet(net);
    const own = parametersOf(this.#net, part === 'whole' ? undefined : part);
    this.#parameters = new Parameters(own, net.init, setup.optimizer, seed, compile);
    this.#ops = setup.ops === 'native' ? nativeOps(setup.convolutions) : undefined;
    this.#peer = peerOf(setup);
    this.#function = new TowerFunction({
      ...{ net: this.#net, part, seed, compile, ops: this.#ops ?? TFJS_OPS, names: this.#parameters.names },
      ...{ peer: this.#peer, readParameters: () => this.#parameters.read() },
    });
    this.#setChecksums();
  }

  open(): OpenReply {
    warmUp(this.#setup, this.#net, this.#ops ?? TFJS_OPS);
    const first = this.#parameters.readOne(this.#parameters.names[0]!);
    const sum = tf.sum(first); // an op's result, not only what was put there
    const devices = [...new Set([backingDevice(first), backingDevice(sum)])];
    tf.dispose([first, sum]);
    return {
      tensorflow: currentBinding().version,
      tfjs: tf.version_core,
      backingDevice: devices.join(' and '),
      parameters: this.#parameters.described.reduce((total, { shape }) => total + volume(shape), 0),
    };
  }

  /** Patterns to the peer and from it; the peer has to do the same. */
  selfTest(): SelfTestReply {
    const { part, batchSize } = this.#setup;
    if (part === 'whole' || !this.#peer) throw new Error('the whole net has no peer');
    const peer = this.#peer;
    return this.#orEcho(0, () => selfTest(this.#net, part, batchSize, peer, this.#function.runsWhile!));
  }

  /**
   * Forward, backward, update.
   * @throws NonFiniteError, before the update, when loss or gradients are not finite; an echo when only the peer's are not.
   */
  step(command: StepCommand): StepReply {
    const { step, learningRate, epoch, update, keep, checksum } = command;
    const started = performance.now();
    this.#kept.clear();
    this.#setChecksums(checksum);
    this.#takeCosts();
    let answers: Answers | undefined;
    let norms: Norms | undefined;
    const { gradients, captured } = tidy(() => {
      const { labelValues, ...batch } = this.#batch(command, keep);
      const answering: Answering = {
        onForward: (loss, logits) => {
          if (loss && logits) answers = answersOf(loss, logits, labelValues, command);
        },
        onGradients: (squares) => {
          norms = exchangeNorms(squares.dataSync()[0]!, step, this.#peer?.transport, update);
        },
      };
      const found = this.#pass(command, batch, { training: true, keep }, answering);
      return { gradients: found.gradients, captured: found.captured };
    });
    if (keep) this.#kept.keep(captured, gradients, this.#parameters.described);
    try {
      if (update) {
        checkGradients(norms!, gradients, this.#parameters.described, command, this.#setup.part);
        this.#parameters.update(gradients, learningRate, epoch);
      }
      settle(gradients.at(-1)!);
    } finally {
      // One by one: tfjs looks for tensors within tensors in a list.
      if (!keep) for (const each of gradients) each.dispose();
    }
    return { ...answers, ...this.#timings(started) };
  }

  /** Sums over a batch, without dropout. @param scores takes the logits [count, K], if it is there. */
  evaluate(command: BatchCommand, scores?: Float32Array): EvaluateReply {
    let reply: EvaluateReply = {};
    this.#look(command, false, (loss, logits, labels) => {
      const values = logits.dataSync() as Float32Array;
      scores?.set(values);
      const [top1, top5] = [countRight(values, labels, 1), countRight(values, labels, 5)];
      reply = { loss: loss.dataSync()[0]! * command.count, top1, top5 };
    });
    return reply;
  }

  /** What the layers make of a batch; tower 1 leaves the images, which both read, to tower 0. */
  measure(command: BatchCommand): LayerActivations[] {
    return tf.tidy(() => {
      const { found, capture } = openMeasure(this.#net);
      const { images, captured } = this.#look(command, true);
      for (const each of captured) capture(each);
      return this.#setup.part === 1 ? found : [measure('images', 0, images, false), ...found];
    });
  }

  list(): TensorInfo[] {
    const parameters = this.#parameters.described.map(({ name, layer, shape }): TensorInfo => {
      return { name, layer, kind: 'parameter', shape };
    });
    return [...this.#kept.described, ...parameters];
  }

  fetch(what: TensorKind, name: string, target: Uint8Array): void {
    if (what === 'parameter') {
      const value = this.#parameters.readOne(name);
      copyTensor(value, target);
      value.dispose();
      return;
    }
    copyTensor(this.#kept.find(what, name), target);
  }

  put(name: string, values: Float32Array): void {
    this.#parameters.put(name, values);
  }

  save(file: string, step: number): void {
    this.#parameters.save(file, { ...fileMetadata(this.#setup), step: String(step) });
  }

  load(files: readonly string[]): void {
    this.#parameters.load(files);
  }

  snapshot(target: Uint8Array): void {
    this.#parameters.snapshot(target);
  }

  restore(files: readonly string[]): void {
    this.#parameters.restore(files);
  }

  /** Frees parameters, functions and what the last step kept: a thread's end alone would leave them on the device. */
  dispose(): void {
    this.#kept.clear();
    this.#function.dispose();
    this.#peer?.device?.dispose();
    this.#ops?.dispose();
    this.#parameters.dispose();
  }

  /** Whether messages from here on have a checksum: always by the settings, or for once. */
  #setChecksums(asked = false): void {
    if (this.#peer) this.#peer.transport.checksums = this.#setup.exchange.checksum || asked;
  }

  /** A pass without dropout. @param answer is called in the tower with the last layer. */
  #look(
    command: BatchCommand,
    keep: boolean,
    answer: (loss: tf.Scalar, logits: tf.Tensor2D, labels: Int32Array) => void = () => {},
  ) {
    this.#setChecksums();
    return tidy(() => {
      const { labelValues, ...batch } = this.#batch(command, false);
      const onForward: Answering['onForward'] = (loss, logits) => {
        if (loss && logits) answer(loss, logits, labelValues);
      };
      const answering = { onForward, onGradients: () => {} };
      const { captured } = this.#pass(command, batch, { training: false, keep }, answering);
      return { images: batch.images, captured };
    });
  }

  #pass({ step }: BatchCommand, batch: { images: tf.Tensor4D; labels: tf.Tensor1D }, kind: PassKind, how: Answering) {
    return this.#orEcho(step, () => this.#function.run({ ...batch, step }, kind, how));
  }

  /** @throws what `action` throws; an echo when TensorFlow was told to end because the other tower failed first. */
  #orEcho<T>(step: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const { part, peer } = this.#setup;
      if (!isCancelled(error) || part === 'whole' || !peer || !isAborted(peer.mailboxes)) throw error;
      const text = `Cannot go on at step ${step} in tower ${part}: the other tower stopped; its own message says why`;
      throw new ExchangeError(text, part, 'queue', step, true);
    }
  }

  /**
   * The slot's images and labels. The images may lie in the slot, which is filled anew after the command: where something
   * that shares their memory may outlive it, they are `copied`.
   */
  #batch({ slot, count }: BatchCommand, copied: boolean) {
    const { slots, batchSize, net } = this.#setup;
    const { inputSize, inputChannels } = net;
    const shape = [count, inputSize, inputSize, inputChannels] as const;
    const views = slotViews(slots[slot]!, batchSize, inputSize, inputChannels);
    const labelValues = views.labels.subarray(0, count);
    const images = (copied ? tensorFrom : borrowTensor)(shape, views.images.subarray(0, volume(shape))) as tf.Tensor4D;
    return { images, labels: tensorFrom([count], labelValues) as tf.Tensor1D, labelValues };
  }

  #takeCosts() {
    const { exchangeMs, waitMs, bytes } = this.#peer?.transport.takeCosts() ?? { exchangeMs: 0, waitMs: 0, bytes: 0 };
    return { exchangeMs, waitMs, exchangeBytes: bytes + this.#function.takeDeviceBytes() };
  }

  #timings(started: number): Omit<StepReply, 'loss' | 'top1'> {
    const { exchangeMs, waitMs, exchangeBytes } = this.#takeCosts();
    const stepMs = performance.now() - started;
    return { stepMs, computeMs: stepMs - exchangeMs - waitMs, exchangeMs, waitMs, exchangeBytes };
  }
}

/** `tf.tidy`, whose type knows no interfaces: the tensors in what `action` returns stay. */
function tidy<T extends object>(action: () => T): T {
  return tf.tidy(action as unknown as () => tf.TensorContainer) as T;
}
