/** A tower's worker, with a fault in its classes. */
import { workerData } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import type { Exchanger } from '../../src/exchange/all-gather.js';
import { volume } from '../../src/model/net.js';
import { CopiedSum } from '../../src/tower/average.js';
import { DeviceExchange } from '../../src/tower/exchangers.js';
import { Parameters } from '../../src/tower/parameters.js';
import { NetPart } from '../../src/tower/pass.js';
import type { TowerSetup } from '../../src/tower/protocol.js';
import { Tower } from '../../src/tower/tower.js';
import { TowerFunction } from '../../src/tower/tower-function.js';
import { currentFault, type Fault, type Phase } from './fault.js';
import { strike } from './strike.js';
import { tamperMailboxes } from './tamper.js';

export { default } from '../../src/tower/worker.js';

const { part, replica, exchangeTimeoutMs } = workerData as TowerSetup;
/** Of several replicas, a fault is in the last one. */
const isLast = replica.index === replica.count - 1;

function strikeTower(fault: Extract<Fault, { on: 'tower' }>): void {
  let step = 0;
  const at = (phase: Phase) => {
    if (phase === fault.phase && step === fault.step) strike(fault.kind);
  };
  const { open, step: stepOf, evaluate, snapshot } = Tower.prototype;
  Tower.prototype.open = function () {
    at('open');
    return open.call(this);
  };
  Tower.prototype.step = function (command) {
    step = command.step;
    at('forward');
    return stepOf.call(this, command);
  };
  Tower.prototype.evaluate = function (...args) {
    at('evaluate');
    return evaluate.apply(this, args);
  };
  Tower.prototype.snapshot = function (...args) {
    at('checkpoint');
    snapshot.apply(this, args);
  };
  const { update } = Parameters.prototype;
  Parameters.prototype.update = function (...args) {
    at('update');
    update.apply(this, args);
  };
  const { run } = TowerFunction.prototype;
  TowerFunction.prototype.run = function (batch, kind, answering) {
    const onForward: typeof answering.onForward = (...answers) => {
      if (kind.training) at('backward');
      answering.onForward(...answers);
    };
    return run.call(this, batch, kind, { ...answering, onForward });
  };
}

function putNaN({ layer, step }: Extract<Fault, { on: 'kernel' }>): void {
  const original = Tower.prototype.step;
  Tower.prototype.step = function (command) {
    const kernel = this.list().find((each) => each.layer === layer && each.name.endsWith('/kernel'));
    if (kernel && command.step === step) {
      const memory = new SharedArrayBuffer(4 * volume(kernel.shape));
      new Float32Array(memory).fill(Number.NaN);
      this.put(kernel, memory);
    }
    return original.call(this, command);
  };
}

/** Joins the halves at a site in the wrong order. */
function swapHalves({ site }: Extract<Fault, { on: 'join' }>): void {
  const swapped = (exchanger: Exchanger): Exchanger => ({
    ...exchanger,
    receiveFor: (shape, place, compute) =>
      exchanger.receiveFor(shape, place, (peer) => {
        const joined = compute(peer);
        if (place.site !== site || place.direction === 'backward') return joined;
        const [first, second] = tf.split(joined, 2, joined.rank - 1) as [tf.Tensor, tf.Tensor];
        return tf.concat([second, first], joined.rank - 1);
      }),
  });
  const { run } = NetPart.prototype;
  NetPart.prototype.run = function (inputs, kind, hooks) {
    return run.call(this, inputs, kind, { ...hooks, exchanger: hooks.exchanger && swapped(hooks.exchanger) });
  };
}

/** Changes all that comes from device to device. */
function spoilDeviceCopies(): void {
  const original = DeviceExchange.prototype.exchanger;
  DeviceExchange.prototype.exchanger = function (...args) {
    const exchanger = original.apply(this, args);
    const receive: Exchanger['receive'] = (shape, place) => tf.mul(exchanger.receive(shape, place), -1);
    return { ...exchanger, receive, receiveFor: (shape, place, compute) => compute(receive(shape, place)) };
  };
}

/** Changes the sum of the gradients in this replica alone, by little. */
function spoilAverage(): void {
  const { sum } = CopiedSum.prototype;
  CopiedSum.prototype.sum = function (...args) {
    return sum.apply(this, args).map((each) => tf.mul(each, 1.00001));
  };
}

const fault = currentFault();
if (fault?.on === 'tower' && fault.part === part && isLast) strikeTower(fault);
if (fault?.on === 'average' && isLast) spoilAverage();
if (fault?.on === 'message' && part === 1) tamperMailboxes(fault, 2 * exchangeTimeoutMs);
if (fault?.on === 'kernel') putNaN(fault);
if (fault?.on === 'join') swapHalves(fault);
if (fault?.on === 'device') spoilDeviceCopies();
