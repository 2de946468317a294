/** When a run's checkpoints are due, and how they come about beside its steps. */
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { RunState } from '../checkpoint/contents.js';
import { valuesBytes } from '../checkpoint/safetensors.js';
import { checkpointsFolder, stepsIn } from '../checkpoint/store.js';
import { type CheckpointWriter, openWriter } from '../checkpoint/writer.js';
import type { Config } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import type { LogEvent, Report } from '../log.js';
import { buildNet, parametersOf } from '../model/net.js';
import { fileMetadata, snapshotEntries } from '../tower/snapshot.js';
import { answered } from './deadline.js';
import type { LoopResult } from './loop.js';
import type { Team } from './team.js';

export interface Checkpoints {
  /**
   * After a step, and its evaluation when there was one: starts a checkpoint when one is due. Waits only until the towers
   * have copied their values; the files are written while they go on. One that is due while the last is still being
   * written waits for that.
   * @throws CheckpointError when the disk did not take the last one; what was there before is as it was.
   */
  after(result: LoopResult): Promise<void>;
  /** Makes one of the last step, when there is none, and waits until it is on the disk. @throws as `after`. */
  finish(result: LoopResult): Promise<void>;
  /** Waits for what is being written, and ends the thread that writes. Throws nothing. */
  close(): Promise<void>;
}

/** What does not change from one checkpoint to the next. */
export type FixedState = Pick<
  RunState,
  'seed' | 'placement' | 'config' | 'configHash' | 'data' | 'classes' | 'versions'
>;

/** Where the run stands after a step. */
export type Position = Pick<RunState, 'epoch' | 'epochImages' | 'learningRate' | 'losses'>;

const MINUTE_MS = 60_000;

/**
 * Opens the checkpoints of a run.
 * @param best the best evaluation so far, of a run that was resumed.
 * @throws CheckpointError when the run's folder cannot be written to, or has no room for the checkpoints that are to stay.
 */
export function openCheckpoints(
  config: Config,
  team: Team,
  fixed: FixedState,
  positionOf: (result: LoopResult) => Position,
  report: Report,
  resumed: { step: number; best: RunState['best'] } | undefined,
): Checkpoints {
  const checkpoints = checkpointsFolder(join(config.out, config.run));
  makeFolder(checkpoints);
  const net = buildNet(config.net);
  const entries = team.towers.map(({ setup: { part } }) =>
    snapshotEntries(parametersOf(net, part === 'whole' ? undefined : part), config.optimizer.momentum),
  );
  checkRoom(checkpoints, config, sum(entries.map(valuesBytes)));
  let writer: CheckpointWriter | undefined;
  let memory: SharedArrayBuffer[] | undefined;
  let pending: Promise<void> | undefined;
  let finished: LogEvent | undefined;
  let failure: unknown;
  let best = resumed?.best;
  // A run that branches off has none of its own yet.
  let lastStep = stepsIn(checkpoints).find((step) => step === resumed?.step) ?? 0;
  let lastAt = performance.now();

  /** Tells of the last one. */
  function tell(): void {
    const event = finished;
    finished = undefined;
    if (event) report(event);
    if (failure !== undefined) throw failure;
  }

  async function save(result: LoopResult): Promise<void> {
    const started = performance.now();
    await pending;
    tell();
    const waited = performance.now();
    memory ??= entries.map((each) => new SharedArrayBuffer(valuesBytes(each)));
    const { exchangeTimeoutMs } = config;
    await Promise.all(
      team.towers.map((tower, i) => answered(tower, i, { kind: 'snapshot' }, memory![i], exchangeTimeoutMs)),
    );
    const copied = performance.now();
    const { steps: step, images, trainMs, top1 } = result;
    const state: RunState = {
      ...{ step, ...positionOf(result), images, trainMs, errors: [...result.errors] },
      ...(result.start && { scheduleStart: result.start }),
      ...(top1 !== undefined && { top1 }),
      ...(best && { best }),
      ...fixed,
    };
    const towers = team.towers.map(({ setup }, i) => ({
      entries: entries[i]!,
      metadata: { ...fileMetadata(setup), step: String(step) },
      values: new Uint8Array(memory![i]!),
    }));
    lastStep = step;
    lastAt = copied;
    writer ??= openWriter();
    const writing = writer.write({ checkpoints, draft: { state, towers }, keep: config.keep, best: best?.step });
    pending = writing.then(
      ({ folder, bytes, removed, writeMs }) => {
        const times = { wait_ms: waited - started, copy_ms: copied - waited, write_ms: writeMs };
        finished = { event: 'checkpoint', step, folder, bytes, ...times, removed };
      },
      (error: unknown) => {
        failure = error;
      },
    );
  }

  /** Whether the evaluation after this step, if there was one, is the best. */
  function isBest({ steps: step, top1 }: LoopResult): boolean {
    if (top1 === undefined || (best && top1 <= best.top1)) return false;
    best = { step, top1 };
    return true;
  }

  const isDue = dueBy(config.checkpointEvery);
  return {
    async after(result) {
      tell();
      const improved = isBest(result) && config.checkpointEvery !== 0;
      if (improved || isDue(result.steps, performance.now() - lastAt)) await save(result);
    },
    async finish(result) {
      // A signal in the measurement after an evaluation comes before `after`.
      isBest(result);
      if (lastStep !== result.steps) await save(result);
      await pending;
      tell();
    },
    async close() {
      await pending;
      if (finished) report(finished);
      finished = undefined;
      await writer?.close();
    },
  };
}

/** Whether one is due after that step, so many milliseconds after the last one. */
function dueBy(every: Config['checkpointEvery']): (step: number, sinceMs: number) => boolean {
  if (typeof every === 'number') return (step) => every > 0 && step % every === 0;
  const everyMs = Number.parseFloat(every) * MINUTE_MS;
  return (_, sinceMs) => sinceMs >= everyMs;
}

/** At the start, so that a folder that cannot be written to is not found out after an hour. */
function makeFolder(checkpoints: string): void {
  try {
    mkdirSync(checkpoints, { recursive: true });
  } catch (error) {
    throw new CheckpointError(
      `Cannot make the folder ${checkpoints}: ${(error as Error).message}; choose another folder with --out`,
      checkpoints,
    );
  }
}

/** One more than stay has room for a moment. What is there already takes none. */
function checkRoom(checkpoints: string, { keep, checkpointEvery }: Config, bytes: number): void {
  const wanted = checkpointEvery === 0 ? 1 : keep + 1;
  const needed = Math.max(1, wanted - stepsIn(checkpoints).length) * bytes;
  const { bavail, bsize, blocks } = statfsSync(checkpoints);
  const free = bavail * bsize;
  if (free >= needed || blocks === 0) return; // a file system without a size says 0
  const mebibytes = (value: number) => `${(value / 2 ** 20).toFixed(1)} MiB`;
  throw new CheckpointError(
    `Cannot keep ${keep} checkpoints in ${checkpoints}: ${mebibytes(free)} are free, expected ${mebibytes(needed)}; make room, keep fewer with --keep, or choose another folder with --out`,
    checkpoints,
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
