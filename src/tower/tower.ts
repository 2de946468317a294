/** A tower: a part of the net on one device, in the thread that made it. */
import * as tf from '@tensorflow/tfjs';
import { slotViews } from '../data/batches.js';
import { gather, receiveHalf, sendHalf, type Transport } from '../exchange/index.js';
import type { Captured, Gather, Halves } from '../model/forward.js';
import { buildNet, type Net, parametersOf, volume } from '../model/net.js';
import { TFJS_OPS } from '../model/ops.js';
import { backingDevice, currentBinding, useDevice } from '../native/binding/backend.js';
import { borrowTensor } from '../native/binding/borrow.js';
import { copyTensor, settle, tensorFrom } from '../native/binding/tensors.js';
import { type Fault, type FaultPhase, parseFault, strike } from './fault.js';
import { GradientCheck } from './gradient-check.js';
import { KeptTensors } from './kept.js';
import { type LayerActivations, measure, openMeasure } from './layer-statistics.js';
import { type NativeOps, nativeOps } from './native-ops.js';
import { Parameters } from './parameters.js';
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
import { type Answers, answersOf, countRight } from './scores.js';
import { selfTest } from './self-test.js';
import { fileMetadata } from './snapshot.js';
import { transportOf } from './transport-of.js';
import { isOneCall, WholeStep } from './whole-step.js';

/** What a step's passes leave; the caller's. */
interface Gradients {
  gradients: tf.Tensor[];
  /** Of the tower with the last layer. */
  answers: Answers | undefined;
  /** `halfSquares` of the gradients, where it was computed with them. */
  squares?: tf.Scalar;
}

/** Runs the commands of one tower. Not to be shared between threads. */
export class Tower {
  readonly #setup: TowerSetup;
  readonly #net: Net;
  readonly #parameters: Parameters;
  readonly #fault: Fault;
  readonly #ops: NativeOps | undefined;
  readonly #transport: Transport | undefined;
  readonly #runner: Runner;
  /** Where a step is one call. */
  readonly #whole: WholeStep | undefined;
  readonly #gradientCheck: GradientCheck;
  readonly #kept = new KeptTensors();
  #step = 0;

  /** @throws SetupError, NativeError for a device that is not there; ConfigError for a net that does not fit. */
  constructor(setup: TowerSetup) {
    useDevice(setup.device, setup.context);
    this.#setup = setup;
    this.#net = buildNet(setup.net);
    this.#fault = parseFault(setup.fault, this.#net);
    const own = parametersOf(this.#net, setup.part === 'whole' ? undefined : setup.part);
    this.#parameters = new Parameters(own, setup.net.init, setup.optimizer, setup.seed, setup.compile);
    this.#gradientCheck = new GradientCheck(setup.compile);
    this.#ops = setup.ops === 'native' ? nativeOps(setup.convolutions) : undefined;
    const options = { ...setup, net: this.#net, ops: this.#ops ?? TFJS_OPS, swapAt: this.#fault.swapAt };
    this.#runner = new Runner(options);
    if (isOneCall(setup)) this.#whole = new WholeStep({ ...options, parameters: this.#parameters });
    this.#transport = transportOf(setup, this.#fault);
    this.#setChecksums();
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
  step(command: StepCommand): StepReply {
    const { step, learningRate, epoch, update, keep, checksum } = command;
    const started = performance.now();
    this.#step = step;
    this.#strike('forward');
    this.#kept.clear();
    this.#setChecksums(checksum);
    this.#transport?.takeCosts();
    const { gradients, answers, squares } =
      this.#whole && !keep ? this.#atOnce(this.#whole, command) : this.#onTape(command);
    try {
      this.#strike('update');
      if (update) {
        this.#gradientCheck.check(gradients, this.#parameters.described, step, learningRate, squares);
        this.#parameters.update(gradients, learningRate, epoch);
      }
      settle(gradients.at(-1)!);
    } finally {
      squares?.dispose();
      // One by one: tfjs looks for tensors within tensors in a list.
      if (!keep) for (const each of gradients) each.dispose();
    }
    return { ...answers, ...this.#timings(started) };
  }

  /** Forward and backward as one call. */
  #atOnce(whole: WholeStep, command: StepCommand): Gradients {
    const { slot, count, step } = command;
    return tf.tidy(() => {
      const { images, labels, labelValues } = this.#batch(slot, count);
      let answers: Answers | undefined;
      const turn = (loss?: tf.Scalar, logits?: tf.Tensor2D) => {
        this.#strike('backward');
        if (loss && logits) answers = answersOf(loss, logits, labelValues, command);
      };
      const found = whole.run(images, labels, step, { transport: this.#transport, turn });
      return { ...found, answers };
    });
  }

  /** Forward and backward segment by segment, tfjs's tape between; what is kept can be asked for afterwards. */
  #onTape(command: StepCommand): Gradients {
    const { slot, count, step, keep } = command;
    const names = this.#parameters.names;
    const captured: Captured[] = [];
    let answers: Answers | undefined;
    const gradients = tf.tidy(() => {
      const { images, labels, labelValues } = this.#batch(slot, count, keep);
      const forward = (...values: tf.Tensor[]): tf.Scalar => {
        const outcome = this.#runner.run({
          ...{ images, labels, step, training: true, gather: this.#gather(step), halves: this.#halves(step) },
          parameters: new Map(names.map((name, i) => [name, values[i]!])),
          capture: keep ? (each) => captured.push({ ...each, tensor: tf.keep(each.tensor.clone()) }) : undefined,
        });
        this.#strike('backward');
        if ('sent' in outcome) return outcome.sent as tf.Scalar;
        answers = answersOf(outcome.loss, outcome.logits, labelValues, command);
        return outcome.loss;
      };
      return tf.valueAndGrads(forward)(this.#parameters.read()).grads;
    });
    if (keep) this.#kept.keep(captured, gradients, this.#parameters.described);
    return { gradients, answers };
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
    this.#kept.clear();
    this.#runner.dispose();
    this.#whole?.dispose();
    this.#ops?.dispose();
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

  /** Whether messages from here on have a checksum: always by the settings, or for once. */
  #setChecksums(asked = false): void {
    if (this.#transport) this.#transport.checksums = this.#setup.exchange.checksum || asked;
  }

  /** A pass without dropout. */
  #look({ slot, count, step }: BatchCommand, capture?: (value: Captured) => void) {
    this.#setChecksums();
    const { images, labels, labelValues } = this.#batch(slot, count);
    const values = this.#parameters.read();
    const outcome = this.#runner.run({
      ...{ images, labels, step, capture, training: false, gather: this.#gather(step), halves: this.#halves(step) },
      parameters: new Map(this.#parameters.names.map((name, i) => [name, values[i]!])),
    });
    return { outcome, images, labelValues };
  }

  /**
   * The slot's images and labels on the device. The images may lie in the slot, which is filled anew after the command:
   * where something that shares their memory may outlive it, they are `copied`.
   */
  #batch(slot: number, count: number, copied = false) {
    const { slots, batchSize, net } = this.#setup;
    const { inputSize, inputChannels } = net;
    const shape = [count, inputSize, inputSize, inputChannels] as const;
    const views = slotViews(slots[slot]!, batchSize, inputSize, inputChannels);
    const labelValues = views.labels.subarray(0, count);
    const images = (copied ? tensorFrom : borrowTensor)(shape, views.images.subarray(0, volume(shape))) as tf.Tensor4D;
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

  #timings(started: number): Omit<StepReply, 'loss' | 'top1'> {
    const { exchangeMs, waitMs, bytes } = this.#transport?.takeCosts() ?? { exchangeMs: 0, waitMs: 0, bytes: 0 };
    const stepMs = performance.now() - started;
    return { stepMs, computeMs: stepMs - exchangeMs - waitMs, exchangeMs, waitMs, exchangeBytes: bytes };
  }
}
