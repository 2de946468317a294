/** A training run: set-up, check, loop, evaluation, weights. */
import type { Config } from '../config/config.js';
import type { BatchFeeder } from '../data/index.js';
import { signalExitCode } from '../end-signals.js';
import { NonFiniteError, SplitError, VerifyError } from '../errors.js';
import { duration, sumOf } from '../numbers.js';
import { learningRateAt } from '../optim/schedule.js';
import { type Checkpoints, openCheckpoints } from './checkpoints.js';
import { diagnose } from './diagnose.js';
import { dryRun } from './dry-run.js';
import { evaluate, measureActivations } from './evaluate.js';
import { openFeed } from './feed.js';
import { levelsToContinue } from './levels.js';
import { type Monitor, openMonitor } from './monitor.js';
import { type Network, openNetwork } from './network.js';
import { epochOfStep, newProgress, type Progress, stepsOf } from './progress.js';
import { openTeamWhenThere, Recovery } from './recovery.js';
import {
  type Change,
  type Resume,
  refuseOlder,
  refuseOtherData,
  resumeNotes,
  scheduleAfter,
  settingsChanged,
  withoutStart,
} from './resume.js';
import { classesToContinue, keepRunData, statisticsToContinue, tryRunFolder } from './run-data.js';
import { exchange, exitCodeOf, type Run, runEnd, runStart, trainStep } from './run-events.js';
import { saveWeights } from './run-weights.js';
import { refuseMissingWeights } from './starting-weights.js';
import { openTracer, untraced } from './trace/tracer.js';
import type { TrainResult, TrainUi } from './train-ui.js';
import { openUpcoming } from './upcoming.js';
import { checkTeam } from './verify.js';
import { GracePeriod, openUnlessStopped, Stopped, stoppable, untilStopped } from './waiting.js';

export type { TrainResult, TrainUi };

/**
 * Trains, and reports what happens. A failure after `run_start` ends with `run_end`, and is
 * `error` of the result.
 * @throws SplitError before `run_start`, for whatever cannot become a run.
 */
export async function train(requested: Config, outer: TrainUi): Promise<TrainResult> {
  const { signal, note, resume } = outer;
  const asked = resume ? levelsToContinue(requested, resume.checkpoint.state.config) : requested;
  const monitor = openMonitor(asked, outer.report, resume?.checkpoint.state, outer.lowerRate);
  const warn = (message: string) => monitor.report({ event: 'warning', message });

  const changes = resume ? settingsChanged(resume, asked, outer.command) : [];
  if (resume) refuseOlder(resume, asked);
  if (!resume && asked.weights !== null) refuseMissingWeights(asked.weights, asked.out);
  tryRunFolder(asked); // before the mean image, which may take an hour
  const kept = resume ? statisticsToContinue(resume.checkpoint, asked, warn) : outer.statistics;
  outer.busy?.('reading the data set');
  const warnOfMean = !resume && asked.weights === null; // else the mean of the weights' own images counts
  const opening = openFeed(asked, { warn, note, signal, statistics: kept, warnOfMean });
  const feed = await openUnlessStopped(opening, signal, (late) => late.feeder.close());
  if (!feed) return stoppedBeforeStart(signal);
  const { dataset, feeder, statistics, reopen, dataWorkers } = feed;
  let unfinished: Promise<unknown> | undefined;
  try {
    if (resume) refuseOtherData(resume, dataset);
    outer.busy?.(`opening ${asked.devices.join(' and ')}`);
    const towers = openTeamWhenThere(withoutStart(asked, resume), feeder, outer);
    const team = await openUnlessStopped(towers, signal, (late) => late.close());
    if (!team) return stoppedBeforeStart(signal);
    const steps = stepsOf(asked, feeder.batchesPerEpoch);
    const run: Run = { config: feed.config, dataset, feeder, team, steps, dataWorkers };
    try {
      run.config = outer.begin?.(feed.config) ?? feed.config;
      monitor.report(runStart(run, resume, changes));
      team.warnings.forEach(warn);
      if (outer.dryRun) {
        const progress = newProgress();
        const first = () => toFirstStep(run, changes, progress, { ...outer, ...monitor });
        const found = await dryRun(run, progress, first, signal);
        return found ? { exitCode: 0, top1: Number.NaN, steps: 0, dryRun: found } : stoppedBeforeStart(signal);
      }
      const names = dataset.classNames;
      keepRunData(run.config, resume ? classesToContinue(resume.checkpoint, names) : names, statistics);
      const ended = await runToEnd(run, changes, { ...outer, ...monitor }, reopen);
      unfinished = ended.unfinished;
      return ended.result;
    } finally {
      await run.team.close();
      await run.feeder.close(); // another one than that at first, if a server was lost
    }
  } finally {
    await feeder.close();
    await unfinished?.catch(() => {}); // ends with the team and the feeder, and frees what it opened
  }
}

/**
 * Check, resume, loop, evaluation and weights. Always ends with `run_end`.
 * @param run has another team and feeder after a server was lost.
 */
async function runToEnd(
  run: Run,
  changes: readonly Change[],
  ui: TrainUi & Monitor,
  reopen: () => BatchFeeder,
): Promise<{ result: TrainResult; unfinished: Promise<unknown> | undefined }> {
  const { config } = run;
  const { report, signal } = ui;
  const progress = newProgress();
  const recovery = new Recovery(run, progress, { ...ui, reopen });
  let checkpoints: Checkpoints | undefined;
  let network: Network | undefined;
  let weights: string | undefined;
  let failure: unknown;
  let unfinished: Promise<unknown> | undefined;

  /** @throws what ends the run, or this try. */
  async function runOnce(resume: Resume | undefined): Promise<void> {
    const { busy } = ui;
    network = openNetwork(config, run.team);
    run.team = network.team;
    checkpoints = openCheckpoints(run, report, ui.losses, resume, ui.beforeCheckpoint);
    await toFirstStep(run, resume === ui.resume ? changes : [], progress, { ...ui, resume });
    busy?.('measuring the activations of each layer');
    (await measureActivations(run.team, run.feeder, progress.steps, signal, 0)).forEach(report);
    await trainLoop(run, { report, signal, checkpoints, busy }, progress);
    if (progress.steps === 0) return;
    busy?.('writing the last checkpoint and the weights');
    await checkpoints.finish(progress);
    weights = await saveWeights(config, run.team.first, progress.steps);
  }

  try {
    await recovery.run(runOnce, async () => {
      await checkpoints?.close();
      checkpoints = undefined;
    });
  } catch (error) {
    // The towers have failed or are still busy: the last checkpoint stays the newest.
    if (error instanceof Stopped) {
      progress.stopped = true;
      unfinished = error.unfinished;
    } else {
      const { team, feeder } = run;
      const isNonFinite = error instanceof NonFiniteError;
      failure = isNonFinite ? await diagnose(error, team, feeder, config, progress, ui.lowerRate) : error;
    }
  }
  await checkpoints?.close().catch((error: unknown) => {
    failure ??= error;
  });
  const exitCode = exitCodeOf(failure, progress, signal);
  network?.report(progress.steps, report);
  report(runEnd(progress, run.feeder, exitCode, failure, weights, recovery.times));
  if (failure !== undefined && !(failure instanceof SplitError)) throw failure;
  const result = { exitCode, top1: progress.top1 ?? Number.NaN, steps: progress.steps };
  return { result: failure ? { ...result, error: failure } : result, unfinished };
}

/** The check against the reference, and restoring the checkpoint to resume from. @throws as these. */
async function toFirstStep(run: Run, changes: readonly Change[], progress: Progress, ui: TrainUi): Promise<void> {
  const { check: isAsked, placement } = run.config;
  if (isAsked && (placement === 'split' || run.config.replicas > 1)) await stoppable(check(run, ui), ui.signal);
  if (ui.resume) await restore(ui.resume, run, changes, progress, ui);
  const traced = ui.resume?.checkpoint.state.config.traceSteps; // what it asked for may be done
  const message = traced === run.config.traceSteps ? undefined : untraced(run.config, progress.steps + 1, run.steps);
  if (message !== undefined) ui.report({ event: 'warning', message });
}

/**
 * Trains from the step at which `progress` stands up to the run's length. Evaluates after each epoch, or every `evalEvery`
 * steps, and at the end. The `plateau` schedule needs an evaluation after each epoch in any case.
 * @throws what a tower or a data worker throws; Stopped; CheckpointError if a checkpoint could not be written.
 */
export async function trainLoop(
  { config, team, feeder, steps }: Pick<Run, 'config' | 'team' | 'feeder' | 'steps'>,
  { report, signal, checkpoints, busy }: Pick<TrainUi, 'report' | 'signal' | 'busy'> & { checkpoints: Checkpoints },
  progress: Progress,
): Promise<void> {
  const { optimizer, evalEvery } = config;
  const endsEpoch = (step: number) => step % feeder.batchesPerEpoch === 0;
  const isEvalDue = (step: number) =>
    step > 0 &&
    (step === steps ||
      (evalEvery ? step % evalEvery === 0 : endsEpoch(step)) ||
      (optimizer.schedule.kind === 'plateau' && endsEpoch(step)));
  const grace = new GracePeriod();
  const tracer = openTracer(config, report);

  async function evaluateNow(): Promise<void> {
    const started = performance.now();
    const step = progress.steps;
    const waits: number[] = [];
    const onWait = (ms: number) => waits.push(ms);
    const scores = await evaluate(team, feeder, step, { signal, grace, busy, onWait });
    if (signal.aborted) return; // some images are missing
    const epoch = epochOfStep(step, feeder);
    const waited = { gap_ms: waits[0] ?? 0, data_ms: sumOf(waits, (ms) => ms) };
    report({ event: 'eval', step, epoch, ...scores, eval_ms: performance.now() - started, ...waited });
    progress.top1 = scores.top1;
    if (endsEpoch(step)) progress.errors.push({ epoch, error: 1 - scores.top1 });
    (await measureActivations(team, feeder, step, signal, grace.ms)).forEach(report);
  }

  const upcoming = openUpcoming(feeder, team, steps);
  let isFirst = true;
  /** Waits for the batch and has the towers train on it; undefined if the run is stopped before. */
  async function trainStepNow(step: number, isTraced: boolean) {
    const started = performance.now();
    if (isFirst) busy?.('the first step, which compiles the functions of the towers');
    const loaded = await untilStopped(upcoming.take(step), signal);
    if (!loaded) return undefined;
    const dataMs = performance.now() - started;

    const { batch, staged } = loaded;
    const { slot, count } = batch;
    const epoch = batch.epoch + 1;
    const learningRate = learningRateAt({ step, steps, batchesPerEpoch: feeder.batchesPerEpoch }, optimizer, progress);
    const bySite = isFirst && config.placement === 'split';
    const options = { update: true, keep: false, bySite, ...(isTraced && { trace: true }) } as const;
    const command = { kind: 'step', slot, count, step, staged, learningRate, epoch, ...options } as const;
    if (isEvalDue(step)) feeder.prepareTest();
    // The first step compiles, which takes long. A stop does not wait for it, since no step would be lost.
    const asked = team.ask(command);
    upcoming.prepare(step + 1);
    const replies = await grace.wait(asked, signal, isFirst ? 0 : grace.ms);
    isFirst = false;
    feeder.release(batch);
    return { batch, learningRate, replies, bySite, stepMs: performance.now() - started, dataMs };
  }

  // A resumed run may have been stopped before this evaluation.
  if (isEvalDue(progress.steps) && progress.top1 === undefined && !signal.aborted) {
    await evaluateNow();
    await checkpoints.after(progress);
  }
  for (let step = progress.steps + 1; step <= steps && !signal.aborted; step++) {
    const trace = tracer(step);
    const done = await trainStepNow(step, trace !== undefined).finally(() => trace?.stop());
    if (!done) break;
    const { batch, learningRate, replies, bySite, stepMs, dataMs } = done;
    const { count } = batch;

    progress.steps = step;
    progress.images += count;
    progress.trainMs += stepMs;
    delete progress.top1; // of the weights before this step
    const trained = trainStep(batch, learningRate, replies, stepMs, dataMs);
    report(trained);
    if (bySite) report(exchange(step, replies));
    trace?.report(trained, replies);
    if (isEvalDue(step)) await evaluateNow();
    if (!signal.aborted) await checkpoints.after(progress);
  }
  progress.stopped = signal.aborted;
}

/** Compares one step of the split with the reference. @throws VerifyError if they differ. */
async function check({ team, feeder, config }: Run, { report, signal, resume, note, busy }: TrainUi): Promise<void> {
  const started = performance.now();
  const checked = config.placement === 'split' ? 'the split' : 'the replicas';
  note?.(
    `checking ${checked} against the reference: both compute a batch, tensor by tensor, which takes many times as long as a step (--no-check leaves it out)`,
  );
  busy?.(() => `still comparing ${checked} with the reference, for ${duration(performance.now() - started)} so far`);
  const event = await checkTeam(team, feeder, withoutStart(config, resume));
  if (signal.aborted) return; // the run has ended meanwhile
  report(event);
  if (event.passed) return;
  throw new VerifyError(
    `Cannot train: the split differs from the reference, first in ${event.tensor}; \`verify\` prints every tensor, --no-check trains without this check`,
  );
}

/** Takes weights and progress from the checkpoint. */
async function restore(
  { checkpoint, skipped }: Resume,
  { config, team, feeder: { batchesPerEpoch }, steps }: Run,
  changes: readonly Change[],
  progress: Progress,
  { report, note, busy }: TrainUi,
): Promise<void> {
  const { folder, files, state } = checkpoint;
  const { step, images, trainMs, top1 } = state;
  busy?.(`restoring ${folder}`);
  await team.ask({ kind: 'restore', files });
  const schedule = scheduleAfter(checkpoint, config, batchesPerEpoch);
  Object.assign(progress, { steps: step, images, trainMs, ...schedule, ...(top1 !== undefined && { top1 }) });
  const passedOver = skipped.map((each) => ({ checkpoint: each.folder, why: each.why }));
  report({ event: 'resume', step, checkpoint: folder, skipped: passedOver });
  for (const text of resumeNotes(checkpoint, config, changes, { steps, batchesPerEpoch }, schedule)) note?.(text);
}

function stoppedBeforeStart({ reason }: AbortSignal): TrainResult {
  return { exitCode: signalExitCode(String(reason)), top1: Number.NaN, steps: 0 };
}
