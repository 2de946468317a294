/** The training loop: a batch, a step of all towers, an event; now and then an evaluation. */
import type { Config } from '../config/config.js';
import type { Batch, BatchFeeder } from '../data/index.js';
import type { EventOf, Report } from '../log.js';
import { learningRateIn } from '../optim/schedule.js';
import type { StepReply } from '../tower/protocol.js';
import { evaluate } from './evaluate.js';
import type { Team } from './team.js';

/** How far a run has come; the loop keeps it up to date, so that it is right after a failure too. */
export interface LoopResult {
  steps: number;
  images: number;
  /** From the first step's start to the last one's end, without evaluations. */
  trainMs: number;
  stopped: boolean;
  /** Of the evaluation after the last step, if there was one. */
  top1?: number;
  /** Share of the test images whose class is not the highest score, one an evaluation: what `plateau` goes by. */
  errors: number[];
}

/**
 * Trains `steps` steps, and evaluates after each epoch, or after each `evalEvery` steps, and at the end.
 * @throws what a tower or a data worker throws.
 */
export async function trainLoop(
  config: Config,
  team: Team,
  feeder: BatchFeeder,
  steps: number,
  { report, signal }: { report: Report; signal: AbortSignal },
  result: LoopResult,
): Promise<void> {
  const every = config.evalEvery || feeder.batchesPerEpoch;
  for (let step = 1; step <= steps && !signal.aborted; step++) {
    const started = performance.now();
    const batch = await feeder.train(step);
    const dataMs = performance.now() - started;
    const epoch = epochOf(batch);
    const learningRate = learningRateIn(epoch, config.optimizer, result.errors);
    const { slot, count } = batch;
    const replies = await team.ask({ kind: 'step', slot, count, step, learningRate, epoch, update: true, keep: false });
    feeder.release(batch);
    const stepMs = performance.now() - started;
    result.steps = step;
    delete result.top1; // that was of other weights
    result.images += count;
    result.trainMs += stepMs;
    report(stepEvent(batch, learningRate, replies, stepMs, dataMs));
    if (step % every === 0 || step === steps) await evaluateAndReport(team, feeder, batch, { report, signal }, result);
  }
  result.stopped = signal.aborted;
}

async function evaluateAndReport(
  team: Team,
  feeder: BatchFeeder,
  batch: Batch,
  { report, signal }: { report: Report; signal: AbortSignal },
  result: LoopResult,
): Promise<void> {
  const started = performance.now();
  const { step } = batch;
  const scores = await evaluate(team, feeder, step, () => signal.aborted);
  if (signal.aborted) return; // not all images: no test accuracy
  report({ event: 'eval', step, epoch: epochOf(batch), ...scores, eval_ms: performance.now() - started });
  result.top1 = scores.top1;
  result.errors.push(1 - scores.top1);
}

/** The step's milliseconds are the slower tower's, for that is the one that the step took; they add up to `step_ms`. */
function stepEvent(
  batch: Batch,
  learningRate: number,
  replies: readonly StepReply[],
  stepMs: number,
  dataMs: number,
): EventOf<'train_step'> {
  const { step, count } = batch;
  const slowest = replies.reduce((a, b) => (b.stepMs > a.stepMs ? b : a));
  const answers = replies.find((each) => each.loss !== undefined);
  return {
    event: 'train_step',
    ...{ step, epoch: epochOf(batch), images: count },
    loss: answers?.loss ?? Number.NaN,
    top1: (answers?.top1 ?? Number.NaN) / count,
    learning_rate: learningRate,
    step_ms: stepMs,
    data_ms: dataMs,
    compute_ms: slowest.computeMs,
    exchange_ms: slowest.exchangeMs,
    wait_ms: slowest.waitMs,
    other_ms: stepMs - dataMs - slowest.stepMs,
    exchange_bytes: replies.reduce((total, each) => total + each.exchangeBytes, 0),
    images_per_s: (count / stepMs) * 1000,
    towers: replies.map((each, tower) => ({
      tower,
      step_ms: each.stepMs,
      compute_ms: each.computeMs,
      exchange_ms: each.exchangeMs,
      wait_ms: each.waitMs,
      exchange_bytes: each.exchangeBytes,
    })),
  };
}

/** Epochs count from 1 where people and schedules count them. */
function epochOf({ epoch }: Batch): number {
  return epoch + 1;
}
