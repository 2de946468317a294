/** A tower: a part of the net on one device, in the thread that made it. */
import * as tf from '@tensorflow/tfjs';
import { slotViews } from '../data/batches.js';
import {
  deviceTransport,
  gather,
  Mailbox,
  msgpackTransport,
  receiveHalf,
  sendHalf,
  TamperedMailbox,
  type Transport,
} from '../exchange/index.js';
import type { Captured, Gather, Halves } from '../model/forward.js';
import { buildNet, type Net, parametersOf, volume } from '../model/net.js';
import { TFJS_OPS } from '../model/ops.js';
import { backingDevice, currentBinding, useDevice } from '../native/backend.js';
import { copyTensor, settle, tensorFrom } from '../native/tensors.js';
import { type LayerActivations, measure, openMeasure } from './activations.js';
import { type Fault, type FaultPhase, parseFault, strike } from './fault.js';
import { GradientCheck, lossNotFinite } from './finite.js';
import { NATIVE_OPS } from './ops.js';
import { Parameters } from './parameters.js';
import { devicePort } from './port.js';
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
import { Runner } from './runner.js';
import { countRight } from './scores.js';
import { selfTest } from './self-test.js';
import { fileMetadata } from './snapshot.js';

/** What a step leaves for a comparison. */
interface Kept extends TensorInfo {
  tensor: tf.Tensor;
}

/** Runs the commands of one tower. Not to be shared between threads. */
export class Tower {
  readonly #setup: TowerSetup;
  readonly #net: Net;
  readonly #parameters: Parameters;
  readonly #fault: Fault;
  readonly #transport: Transport | undefined;
  readonly #runner: Runner;
  readonly #gradientCheck: GradientCheck;
  #kept: Kept[] = [];
  #step = 0;

  /** @throws SetupError, NativeError for a device that is not there; ConfigError for a net that does not fit. */
  constructor(setup: TowerSetup) {
    const { part, link } = setup;
    useDevice(setup.device, setup.context);
    this.#setup = setup;
    this.#net = buildNet(setup.net);
    this.#fault = parseFault(setup.fault, this.#net);
    const own = parametersOf(this.#net, part === 'whole' ? undefined : part);
    this.#parameters = new Parameters(own, setup.net.init, setup.optimizer, setup.seed, setup.compile);
    this.#gradientCheck = new GradientCheck(setup.compile);
    this.#runner = new Runner({
      ...{ net: this.#net, part, seed: setup.seed, compile: setup.compile },
      ops: setup.ops === 'native' ? NATIVE_OPS : TFJS_OPS,
    });
    if (part !== 'whole' && link) {
      const { message } = this.#fault;
      const timeoutMs = setup.exchangeTimeoutMs;
      const mailbox =
        message && part === 1
          ? new TamperedMailbox(link, part, timeoutMs, message)
          : new Mailbox(link, part, timeoutMs);
      const port = devicePort(this.#fault);
      const { transport, dtype } = setup.exchange;
      this.#transport =
        transport === 'device' ? deviceTransport(mailbox, part, port) : msgpackTransport(mailbox, part, port, dtype);
    }
  }

  open(): OpenReply {
    this.#strike('open');
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
    if (part === 'whole' || !this.#transport) return {};
    return selfTest(this.#net, part, batchSize, this.#transport);
  }

  /** Forward, backward, update. @throws NonFiniteError, before the update, when loss or gradients are not finite. */
  step({ slot, count, step, learningRate, epoch, update, keep, tolerant, checksum }: StepCommand): StepReply {
    const started = performance.now();
    this.#step = step;
    this.#strike('forward');
    this.#forget();
    if (this.#transport) {
      this.#transport.checksums = (this.#setup.exchange.checksum || checksum) ?? false;
      this.#transport.takeCosts();
    }
    const names = this.#parameters.names;
    const captured: Captured[] = [];
    let answers: { loss: number; top1: number } | undefined;
    const gradients = tf.tidy(() => {
      const { images, labels, labelValues } = this.#batch(slot, count);
      const forward = (...values: tf.Tensor[]): tf.Scalar => {
        const outcome = this.#runner.run({
          ...{ images, labels, step, training: true, gather: this.#gather(step), halves: this.#halves(step) },
          parameters: new Map(names.map((name, i) => [name, values[i]!])),
          capture: keep ? (each) => captured.push({ ...each, tensor: tf.keep(each.tensor.clone()) }) : undefined,
        });
        this.#strike('backward');
        if ('sent' in outcome) return outcome.sent as tf.Scalar;
        const loss = outcome.loss.dataSync()[0]!;
        answers = { loss, top1: countRight(outcome.logits.dataSync(), labelValues, 1) };
        if (!Number.isFinite(loss) && !tolerant) throw lossNotFinite(loss, step, learningRate);
        return outcome.loss;
      };
      return tf.valueAndGrads(forward)(this.#parameters.read()).grads;
    });
    if (keep) this.#keep(captured, gradients);
    this.#strike('update');
    if (update) {
      this.#gradientCheck.check(gradients, this.#parameters.described, step, learningRate);
      this.#parameters.update(gradients, learningRate, epoch);
    }
    settle(gradients.at(-1)!);
    if (!keep) tf.dispose(gradients);
    return { ...answers, ...this.#timings(started) };
  }

  /** Sums over a batch, without dropout. @param logits takes the scores [count, K], if it is there. */
  evaluate(batch: BatchCommand, logits?: Float32Array): EvaluateReply {
    this.#strike('evaluate');
    return tf.tidy(() => {
      const { outcome, labelValues } = this.#look(batch);
      if ('sent' in outcome) return {};
      const scores = outcome.logits.dataSync() as Float32Array;
      logits?.set(scores);
      const loss = outcome.loss.dataSync()[0]! * batch.count;
      return { loss, top1: countRight(scores, labelValues, 1), top5: countRight(scores, labelValues, 5) };
    });
  }

  /** What the layers make of a batch; tower 1 leaves the images, which both read, to tower 0. */
  measure(batch: BatchCommand): LayerActivations[] {
    return tf.tidy(() => {
      const { found, capture } = openMeasure(this.#net);
      const { images } = this.#look(batch, capture);
      return this.#setup.part === 1 ? found : [measure('images', 0, images, false), ...found];
    });
  }

  list(): TensorInfo[] {
    const kept = this.#kept.map(({ name, layer, kind, shape }) => ({ name, layer, kind, shape }));
    const parameters = this.#parameters.described.map(({ name, layer, shape }): TensorInfo => {
      return { name, layer, kind: 'parameter', shape };
    });
    return [...kept, ...parameters];
  }

  fetch(what: TensorKind, name: string, target: Uint8Array): void {
    if (what === 'parameter') {
      const value = this.#parameters.readOne(name);
      copyTensor(value, target);
      value.dispose();
      return;
    }
    const found = this.#kept.find((each) => each.kind === what && each.name === name);
    if (!found) throw new Error(`this tower has kept no ${what} ${name}`);
    copyTensor(found.tensor, target);
  }

  put(name: string, values: Float32Array): void {
    this.#parameters.put(name, values);
  }

  save(file: string): void {
    this.#parameters.save(file, fileMetadata(this.#setup));
  }

  load(files: readonly string[]): void {
    this.#parameters.load(files);
  }

  snapshot(target: Uint8Array): void {
    this.#strike('checkpoint');
    this.#parameters.snapshot(target);
  }

  restore(files: readonly string[]): void {
    this.#parameters.restore(files);
  }

  /** Frees parameters, traces and what the last step kept: a thread's end alone would leave them on the device. */
  dispose(): void {
    this.#forget();
    this.#runner.dispose();
    this.#gradientCheck.dispose();
    this.#parameters.dispose();
  }

  /** Does what the fault says, if it says it of this tower, here and now. */
  #strike(phase: FaultPhase): void {
    const { part } = this.#setup;
    if (part !== 0) strike(this.#fault, phase, this.#step);
    const { nan } = this.#fault;
    if (!nan || phase !== 'forward' || nan.step !== this.#step) return;
    const kernel = this.#parameters.described.find((each) => each.layer === nan.layer && each.role === 'kernel');
    if (kernel) this.#parameters.put(kernel.name, new Float32Array(volume(kernel.shape)).fill(Number.NaN));
  }

  /** A pass without dropout. */
  #look({ slot, count, step }: BatchCommand, capture?: (value: Captured) => void) {
    const { images, labels, labelValues } = this.#batch(slot, count);
    const values = this.#parameters.read();
    const outcome = this.#runner.run({
      ...{ images, labels, step, capture, training: false, gather: this.#gather(step), halves: this.#halves(step) },
      parameters: new Map(this.#parameters.names.map((name, i) => [name, values[i]!])),
    });
    return { outcome, images, labelValues };
  }

  /** The slot's images and labels on the device. */
  #batch(slot: number, count: number) {
    const { slots, batchSize, net } = this.#setup;
    const { inputSize, inputChannels } = net;
    const shape = [count, inputSize, inputSize, inputChannels] as const;
    const views = slotViews(slots[slot]!, batchSize, inputSize, inputChannels);
    const labelValues = views.labels.subarray(0, count);
    const images = tensorFrom(shape, views.images.subarray(0, volume(shape))) as tf.Tensor4D;
    return { images, labels: tensorFrom([count], labelValues) as tf.Tensor1D, labelValues };
  }

  /** How the halves come together in that step. */
  #gather(step: number): Gather {
    return (own, site) => {
      const { part } = this.#setup;
      if (part === 'whole' || !this.#transport) throw new Error(`the whole net has no site ${site.name}`);
      return gather(own, site, part, step, this.#transport, this.#fault.swapAt === site.name);
    };
  }

  /** How they come together with work between, where that is wanted. */
  #halves(step: number): Halves | undefined {
    const transport = this.#transport;
    if (!transport || !this.#setup.exchange.overlap) return undefined;
    return {
      send: (own, { name }) => sendHalf(own, name, step, transport),
      receive: (sent, shape, { name }) => receiveHalf(sent, shape, name, step, transport),
    };
  }

  #keep(captured: readonly Captured[], gradients: readonly tf.Tensor[]): void {
    const activations = captured.map(({ name, layer, kind, tensor }) => {
      return { name, layer, kind, tensor, shape: tensor.shape };
    });
    // The order in which they come about: backward.
    const backward = this.#parameters.described
      .map(({ name, layer }, i): Kept => {
        const tensor = gradients[i]!;
        return { name, layer, kind: 'gradient', tensor, shape: tensor.shape };
      })
      .reverse();
    this.#kept = [...activations, ...backward];
  }

  #forget(): void {
    tf.dispose(this.#kept.map(({ tensor }) => tensor));
    this.#kept = [];
  }

  #timings(started: number): Omit<StepReply, 'loss' | 'top1'> {
    const { exchangeMs, waitMs, bytes } = this.#transport?.takeCosts() ?? { exchangeMs: 0, waitMs: 0, bytes: 0 };
    const stepMs = performance.now() - started;
    return { stepMs, computeMs: stepMs - exchangeMs - waitMs, exchangeMs, waitMs, exchangeBytes: bytes };
  }
}
