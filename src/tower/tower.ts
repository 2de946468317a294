/** A tower: a part of the net on one device. A method for each command; all of them run in the thread that made it. */
import tf = require('@tensorflow/tfjs');

import { noCosts } from '../exchange/transport.js';
import type { Captured } from '../model/forward.js';
import { buildNet, type Net, parametersOf, volume } from '../model/net.js';
import { TFJS_OPS } from '../model/ops.js';
import { backingDevice, currentBinding, useDevice } from '../native/binding/backend.js';
import { copyTensor, settle } from '../native/binding/tensors.js';
import type { GradientSum } from './average.js';
import { readBatch } from './batch.js';
import { measure, measureLayers } from './layer-statistics.js';
import { type NativeOps, nativeOps } from './native-ops.js';
import { type Normalizer, openNormalizer } from './normalize.js';
import { Parameters } from './parameters.js';
import type { PassKind } from './pass.js';
import { openAverage, openPeer, openWaits, type Peer } from './peer.js';
import {
  type BatchCommand,
  type Command,
  type EvaluateReply,
  indexOf,
  type LayerActivations,
  type MeasureReply,
  type OpenReply,
  type Replies,
  type SelfTestReply,
  type StepCommand,
  type StepReply,
  type TensorInfo,
  type TowerSetup,
} from './protocol.js';
import { imagesOf, rowsOf, towerNumber } from './replica.js';
import { selfTest } from './self-test.js';
import { fileMetadata } from './snapshot.js';
import { StepNotes } from './step-notes.js';
import { type Answers, answersOf, checkGradients, countRight, exchangeNorms, type Norms } from './step-results.js';
import { type Answering, type PassBatch, TowerFunction } from './tower-function.js';
import { blamingOthers } from './wait-errors.js';
import { warmUp } from './warm-up.js';

type CommandOf<Kind extends Command['kind']> = Extract<Command, { kind: Kind }>;

/** Carries out each command. `memory` is the shared memory that comes with it. */
type Commands = {
  // biome-ignore lint/suspicious/noConfusingVoidType: a command without a reply returns nothing
  [Kind in Command['kind']]: (command: CommandOf<Kind>, memory: SharedArrayBuffer) => Replies[Kind] | void;
};

/** An activation or a gradient that a step kept. */
type Kept = TensorInfo & { tensor: tf.Tensor };

export class Tower implements Commands {
  readonly #setup: TowerSetup;
  readonly #net: Net;
  readonly #parameters: Parameters;
  readonly #ops: NativeOps | undefined;
  readonly #peer: Peer | undefined;
  readonly #average: GradientSum | undefined;
  readonly #normalizer: Normalizer | undefined;
  readonly #function: TowerFunction;
  #kept: readonly Kept[] = [];

  /** @throws SetupError or NativeError if there is no such device; ConfigError if the net cannot be built. */
  constructor(setup: TowerSetup) {
    useDevice(setup.device, setup.context);
    const { part, replica, net, seed, compile } = setup;
    this.#setup = setup;
    this.#net = buildNet(net);
    const own = parametersOf(this.#net, part === 'whole' ? undefined : part);
    const tower = towerNumber(setup);
    this.#parameters = new Parameters(own, net.init, setup.optimizer, seed, compile, tower, setup.newHead);
    const { names, trained } = this.#parameters;
    const moving = new Set(trained.map(({ name }) => name));
    const frozen = new Set(names.filter((name) => !moving.has(name)));
    this.#ops = setup.ops === 'native' ? nativeOps(setup.convolutions) : undefined;
    const waits = openWaits(setup);
    this.#peer = openPeer(setup, waits);
    this.#average = openAverage(setup, trained);
    this.#normalizer = openNormalizer(setup.layout);
    this.#function = new TowerFunction({
      ...{ net: this.#net, part, tower, seed, compile, ops: this.#ops ?? TFJS_OPS, names, frozen },
      ...{ peer: this.#peer, waits, average: this.#average, readParameters: () => this.#parameters.read() },
      ...{ allImages: setup.batchSize * replica.count, normalizer: this.#normalizer },
    });
    this.#setChecksums();
  }

  open(): OpenReply {
    warmUp(this.#setup, this.#net, this.#ops ?? TFJS_OPS);
    const first = this.#parameters.readOne(this.#parameters.names[0]!);
    const sum = tf.sum(first); // where ops run, not only where the tensor was put
    const devices = [...new Set([backingDevice(first), backingDevice(sum)])];
    tf.dispose([first, sum]);
    return {
      tensorflow: currentBinding().version,
      tfjs: tf.version_core,
      backingDevice: devices.join(' and '),
      parameters: this.#parameters.described.reduce((total, { shape }) => total + volume(shape), 0),
    };
  }

  selfTest(): SelfTestReply {
    const { part, batchSize } = this.#setup;
    const peer = this.#peer;
    if (part === 'whole' || !peer) throw new Error('the whole net has no peer');
    return blamingOthers(this.#setup, 0, () => selfTest(this.#net, part, batchSize, peer));
  }

  /**
   * Forward, backward, update.
   * @throws NonFiniteError, before the update, if loss or gradients are not finite; ExchangeError with `peerFailed` if only
   * the peer's are not.
   */
  step(command: StepCommand): StepReply {
    const { step, learningRate, epoch, update, keep, checksum, bySite } = command;
    const started = performance.now();
    this.#disposeKept();
    this.#setChecksums(checksum);
    this.#peer?.transport.takeCosts(); // those of other commands
    if (this.#peer) this.#peer.transport.watch = undefined; // that of a traced step that failed
    const { part, replica, compile } = this.#setup;
    const transport = this.#peer?.transport;
    const notes = command.trace ? new StepNotes(indexOf(part), replica.index, transport) : undefined;
    const noted = <T>(name: 'pass' | 'update', action: () => T): T =>
      notes ? notes.during(name, name, compile === 'off', action) : action();
    let answers: Answers | undefined;
    let norms: Norms | undefined;
    let inputBytes = 0;
    const { gradients, captured } = tidy(() => {
      const { labelValues, bytes, ...batch } = readBatch(this.#setup, command, { isCopied: keep, isTraining: true });
      inputBytes = bytes;
      const answering: Answering = {
        onForward: (loss, logits) => {
          if (loss && logits) answers = answersOf(loss, logits, labelValues, command);
        },
        onGradients: (squares) => {
          norms = exchangeNorms(squares.dataSync()[0]!, step, this.#peer?.transport, update);
        },
      };
      const found = noted('pass', () => this.#pass(command, batch, { training: true, keep }, answering));
      return { gradients: found.gradients, captured: found.captured };
    });
    if (keep) this.#keep(captured, gradients);
    try {
      if (update) {
        checkGradients(norms!, gradients, this.#parameters.trained, command, part);
        noted('update', () => this.#parameters.update(gradients, learningRate, epoch));
      }
      const last = gradients.at(-1);
      if (last) settle(last, compile !== 'off');
    } finally {
      // One by one, because tfjs searches a list for tensors within tensors.
      if (!keep) for (const each of gradients) each.dispose();
    }
    const stepMs = performance.now() - started;
    const { exchangeMs, waitMs, bytes: exchangeBytes, sent } = this.#peer?.transport.takeCosts() ?? noCosts();
    const computeMs = stepMs - exchangeMs - waitMs;
    const spans = notes && { spans: notes.end() };
    const more = { inputBytes, halfSquares: norms!.own, ...(bySite && { sent }), ...spans };
    const images = imagesOf(this.#setup, command);
    const averageBytes = this.#average?.bytes ?? 0;
    return { ...answers, images, averageBytes, stepMs, computeMs, exchangeMs, waitMs, exchangeBytes, ...more };
  }

  /** Sums over the replica's images, without dropout. @param memory receives their rows of the logits [count, K]. */
  evaluate(command: BatchCommand, memory?: SharedArrayBuffer): EvaluateReply {
    let reply: EvaluateReply = {};
    const images = imagesOf(this.#setup, command);
    if (images === 0) return reply;
    const answer = (loss: tf.Scalar, logits: tf.Tensor2D, labels: Int32Array) => {
      const values = logits.dataSync() as Float32Array;
      const { from } = rowsOf(command.count, this.#setup.replica);
      if (memory) new Float32Array(memory).set(values, (from * values.length) / images);
      const [top1, top5] = [countRight(values, labels, 1), countRight(values, labels, 5)];
      reply = { loss: loss.dataSync()[0]! * images, top1, top5 };
    };
    tf.tidy(() => void this.#evaluationPass(command, false, answer));
    return reply;
  }

  /** Measures the layers' activations, and the memory. Both towers read the images, so only tower 0 measures them. */
  measure(command: BatchCommand): MeasureReply {
    const isMeasured = this.#setup.replica.index === 0 && imagesOf(this.#setup, command) > 0;
    const layers = isMeasured ? this.#measureLayers(command) : [];
    const { tensors, bytes } = currentBinding().held(); // tfjs's own count has what was only recorded, and no variables
    return { layers, tensors, tensorBytes: bytes };
  }

  #measureLayers(command: BatchCommand): LayerActivations[] {
    return tf.tidy((): LayerActivations[] => {
      const { images, captured } = this.#evaluationPass(command, true);
      const found = measureLayers(this.#net, captured);
      if (this.#setup.part === 1) return found;
      return [measure('images', 0, this.#normalizer?.apply(images) ?? images, false), ...found];
    });
  }

  list(): TensorInfo[] {
    const kept = this.#kept.map(({ name, layer, kind, shape }) => ({ name, layer, kind, shape }));
    const parameters = this.#parameters.described.map(({ name, layer, shape }): TensorInfo => {
      return { name, layer, kind: 'parameter', shape };
    });
    return [...kept, ...parameters];
  }

  fetch({ what, name }: CommandOf<'fetch'>, memory: SharedArrayBuffer): void {
    const isParameter = what === 'parameter';
    const tensor = isParameter
      ? this.#parameters.readOne(name)
      : this.#kept.find((each) => each.kind === what && each.name === name)?.tensor;
    if (!tensor) throw new Error(`this tower has kept no ${what} ${name}`);
    copyTensor(tensor, new Uint8Array(memory));
    if (isParameter) tensor.dispose();
  }

  put({ name }: Pick<CommandOf<'put'>, 'name'>, memory: SharedArrayBuffer): void {
    this.#parameters.put(name, new Float32Array(memory));
  }

  save({ file, step }: CommandOf<'save'>): void {
    this.#parameters.save(file, { ...fileMetadata(this.#setup), step: String(step) });
  }

  load({ files, withHead }: CommandOf<'load'>): void {
    this.#parameters.load(files, withHead);
  }

  snapshot(_: unknown, memory: SharedArrayBuffer): void {
    this.#parameters.snapshot(new Uint8Array(memory));
  }

  restore({ files }: CommandOf<'restore'>): void {
    this.#parameters.restore(files);
  }

  /** Frees everything on the device, which the end of the thread would not. */
  close(): void {
    this.#disposeKept();
    this.#function.dispose();
    this.#normalizer?.dispose();
    this.#peer?.device?.dispose();
    this.#average?.dispose();
    this.#ops?.dispose();
    this.#parameters.dispose();
  }

  /** Takes over what a step kept. Gradients are listed in the order of the backward pass. */
  #keep(captured: readonly Captured[], gradients: readonly tf.Tensor[]): void {
    const activations = captured.map((each): Kept => ({ ...each, shape: each.tensor.shape }));
    const backward = this.#parameters.trained.map(({ name, layer, shape }, i): Kept => {
      return { name, layer, kind: 'gradient', shape, tensor: gradients[i]! };
    });
    this.#kept = [...activations, ...backward.reverse()];
  }

  #disposeKept(): void {
    tf.dispose(this.#kept.map(({ tensor }) => tensor));
    this.#kept = [];
  }

  /** Turns checksums of messages on or off: as in the settings, or on for this command. */
  #setChecksums(asked = false): void {
    if (this.#peer) this.#peer.transport.checksums = this.#setup.exchange.checksum || asked;
  }

  /** Runs a pass without dropout. The tensors that it returns are the caller's. @param answer is called in the tower with the last layer. */
  #evaluationPass(
    command: BatchCommand,
    keep: boolean,
    answer: (loss: tf.Scalar, logits: tf.Tensor2D, labels: Int32Array) => void = () => {},
  ) {
    this.#setChecksums();
    return tidy(() => {
      const how = { isCopied: false, isTraining: false };
      const { labelValues, bytes: _, ...batch } = readBatch(this.#setup, command, how);
      const onForward: Answering['onForward'] = (loss, logits) => {
        if (loss && logits) answer(loss, logits, labelValues);
      };
      const { captured } = this.#pass(command, batch, { training: false, keep }, { onForward, onGradients: () => {} });
      return { images: batch.images, captured };
    });
  }

  #pass({ step }: BatchCommand, batch: PassBatch, kind: PassKind, how: Answering) {
    return blamingOthers(this.#setup, step, () => this.#function.run({ ...batch, step }, kind, how));
  }
}

/** `tf.tidy` for any type of object: keeps the tensors in what `action` returns. */
function tidy<T extends object>(action: () => T): T {
  return tf.tidy(action as unknown as () => tf.TensorContainer) as T;
}
