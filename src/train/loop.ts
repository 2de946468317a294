/** The training loop: a batch, a step of all towers, an event; now and then an evaluation. */
import type { Config } from '../config/config.js';
import type { Batch, BatchFeeder } from '../data/index.js';
import type { EventOf, Report } from '../log.js';
import { type EpochError, learningRateIn, type ScheduleStart } from '../optim/schedule.js';
import type { StepReply } from '../tower/protocol.js';
import { measureActivations } from './activations.js';
import type { Checkpoints } from './checkpoints.js';
import { evaluate } from './evaluate.js';
import { Grace, unlessStopped } from './stop.js';
import type { Team } from './team.js';

/** How far a run has come; the loop keeps it up to date, so that it is right after a failure too. */
export interface LoopResult {
  /** The last step that was done; what a run that was resumed had done before counts, here and below. */
  steps: number;
  images: number;
  /** The sum of the steps' milliseconds, without evaluations. */
  trainMs: number;
  stopped: boolean;
  /** Of the evaluation after the last step, if there was one. */
  top1?: number;
  /** Share of the test images whose class is not the highest score, after each epoch: what `plateau` goes by. */
  errors: EpochError[];
  /** Of a run that went on with another rate or schedule. */
  start?: ScheduleStart | undefined;
  /** The towers are in the middle of something, and cannot be asked for their weights. */
  busy: boolean;
}

/** What the loop tells of, and is told by. */
export interface LoopUi {
  report: Report;
  signal: AbortSignal;
  checkpoints: Checkpoints;
}

/**
 * Trains up to step `steps` from the one that `result` stands at, and evaluates after each epoch, or after each
 * `evalEvery` steps, and at the end. `plateau` counts epochs, so with it there is one after each epoch in any case.
 * @throws what a tower or a data worker throws; CheckpointError when a checkpoint could not be written.
 */
export async function trainLoop(
  config: Config,
  team: Team,
  feeder: BatchFeeder,
  steps: number,
  ui: LoopUi,
  result: LoopResult,
): Promise<void> {
  const { report, signal, checkpoints } = ui;
  const every = config.evalEvery || feeder.batchesPerEpoch;
  const grace = new Grace();
  const isPlateau = config.optimizer.schedule.kind === 'plateau';
  const isEvalDue = (step: number) =>
    step > 0 && (step % every === 0 || step === steps || (isPlateau && endsEpoch(step, feeder)));
  // Stopped before or in that evaluation: it is due yet.
  if (isEvalDue(result.steps) && result.top1 === undefined && !signal.aborted) {
    await evaluateAndReport(team, feeder, ui, result, grace);
    await checkpoints.after(result);
  }
  let isFirst = true;
  for (let step = result.steps + 1; step <= steps && !signal.aborted; step++) {
    const started = performance.now();
    const batch = await unlessStopped(feeder.train(step), signal);
    if (!batch) break;
    const dataMs = performance.now() - started;
    const epoch = epochOf(batch);
    const learningRate = learningRateIn(epoch, config.optimizer, result);
    const { slot, count } = batch;
    const command = { kind: 'step', slot, count, step, learningRate, epoch, update: true, keep: false } as const;
    result.busy = true;
    // The first step compiles: as nothing is lost yet, it is not waited for.
    const replies = await grace.of(team.ask(command), signal, isFirst ? 0 : grace.ms);
    isFirst = false;
    result.busy = false;
    feeder.release(batch);
    const stepMs = performance.now() - started;
    result.steps = step;
    delete result.top1; // that was of other weights
    result.images += count;
    result.trainMs += stepMs;
    report(stepEvent(batch, learningRate, replies, stepMs, dataMs));
    if (isEvalDue(step)) await evaluateAndReport(team, feeder, ui, result, grace);
    if (!signal.aborted) await checkpoints.after(result);
  }
  result.stopped = signal.aborted;
}

async function evaluateAndReport(
  team: Team,
  feeder: BatchFeeder,
  { report, signal }: LoopUi,
  result: LoopResult,
  grace: Grace,
): Promise<void> {
  const started = performance.now();
  const step = result.steps;
  result.busy = true;
  const scores = await evaluate(team, feeder, step, signal, grace);
  result.busy = false;
  if (signal.aborted) return; // not all images: no test accuracy
  const epoch = epochOfStep(step, feeder);
  report({ event: 'eval', step, epoch, ...scores, eval_ms: performance.now() - started });
  result.top1 = scores.top1;
  if (endsEpoch(step, feeder)) result.errors.push({ epoch, error: 1 - scores.top1 });
  result.busy = true;
  const activations = await measureActivations(team, feeder, step, signal, grace.ms);
  result.busy = false;
  if (activations) report(activations);
}

/** The epoch of a step, from 1. */
export function epochOfStep(step: number, { batchesPerEpoch }: Pick<BatchFeeder, 'batchesPerEpoch'>): number {
  return Math.floor((step - 1) / batchesPerEpoch) + 1;
}

function endsEpoch(step: number, { batchesPerEpoch }: Pick<BatchFeeder, 'batchesPerEpoch'>): boolean {
  return step % batchesPerEpoch === 0;
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
