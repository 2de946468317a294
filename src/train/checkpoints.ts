/** A run's checkpoints: when one is due, and how it is written while the training continues. */
import { existsSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RunState } from '../checkpoint/contents.js';
import { type Entry, valuesBytes } from '../checkpoint/safetensors.js';
import { checkpointsFolder, stepsIn } from '../checkpoint/store.js';
import { type CheckpointWriter, openWriter } from '../checkpoint/writer.js';
import { imagesPerStep } from '../config/config.js';
import { CheckpointError } from '../errors.js';
import type { LogEvent, Report } from '../log.js';
import { buildNet, parametersOf } from '../model/net.js';
import { mebibytes, plural, sumOf } from '../numbers.js';
import { learningRateAt } from '../optim/schedule.js';
import { makeFolders } from '../safe-write.js';
import { fileMetadata, snapshotEntries } from '../tower/snapshot.js';
import { epochOfStep, type Progress } from './progress.js';
import { configHash, dataOf, type Resume, staysInFolder } from './resume.js';
import { onDisk } from './run-data.js';
import { type Run, versionsOf } from './run-events.js';

export type Checkpoints = ReturnType<typeof openCheckpoints>;

const MINUTE_MS = 60_000;

/** @param beforeCheckpoint called before each one. @throws CheckpointError if the run's folder cannot be written to, or the disk is too small for the checkpoints. */
export function openCheckpoints(
  run: Run,
  report: Report,
  losses: () => RunState['losses'],
  resume: Resume | undefined,
  beforeCheckpoint: () => void = () => {},
) {
  const { config, dataset, feeder, team } = run;
  const { keep, checkpointEvery, optimizer } = config;
  const checkpoints = checkpointsFolder(join(config.out, config.run));
  // At the start, so that a folder that cannot be written to is found at once, not after an hour.
  onDisk('make the folder', checkpoints, () => makeFolders(checkpoints));
  const entries = entriesOf(run);
  const sizes = entries.map(valuesBytes);
  checkSpace(run);

  let writer: CheckpointWriter | undefined;
  let memory: SharedArrayBuffer[] | undefined;
  let writing: Promise<void> | undefined;
  let written: LogEvent | undefined;
  let failure: unknown;
  const resumed = resume?.checkpoint.state;
  // A branch has its own folder, without the checkpoints of the run it left.
  let best = resume && staysInFolder(resume, config) ? resumed?.best : undefined;
  let lastStep = stepsIn(checkpoints).find((step) => step === resumed?.step) ?? 0;
  let lastAt = performance.now();

  function reportWritten(): void {
    if (written) report(written);
    written = undefined;
    if (failure !== undefined) throw failure;
  }

  function stateOf({ steps: step, images, trainMs, top1, errors, start }: Progress): RunState {
    const epoch = epochOfStep(step, feeder);
    const imagesInEpoch = (step - (epoch - 1) * feeder.batchesPerEpoch) * imagesPerStep(config);
    const schedule = { errors: errors.filter((each) => each.epoch < epoch), start };
    return {
      ...{ step, epoch, epochImages: Math.min(imagesInEpoch, dataset.train.count) },
      ...{
        learningRate: learningRateAt(
          { step, steps: run.steps, batchesPerEpoch: feeder.batchesPerEpoch },
          optimizer,
          schedule,
        ),
        losses: losses(),
        images,
        trainMs,
      },
      errors: [...errors],
      ...(start && { scheduleStart: start }),
      ...(top1 !== undefined && { top1 }),
      ...(best && { best }),
      ...{ seed: config.seed, placement: config.placement, config: { ...config }, configHash: configHash(config) },
      ...{ ...dataOf(dataset), versions: versionsOf(team) },
    };
  }

  async function save(progress: Progress): Promise<void> {
    const started = performance.now();
    beforeCheckpoint();
    await writing;
    reportWritten();
    const waited = performance.now();
    memory ??= sizes.map((bytes) => new SharedArrayBuffer(bytes));
    await team.ask({ kind: 'snapshot' }, memory, team.first);
    const copied = performance.now();
    const step = progress.steps;
    const towers = team.first.map(({ setup }, i) => ({
      entries: entries[i]!,
      metadata: { ...fileMetadata(setup), step: String(step) },
      values: new Uint8Array(memory![i]!),
    }));
    lastStep = step;
    lastAt = copied;
    writer ??= openWriter();
    const draft = { state: stateOf(progress), towers };
    writing = writer.write({ checkpoints, draft, keep, best: best?.step }).then(
      ({ folder, bytes, removed, writeMs }) => {
        const times = { wait_ms: waited - started, copy_ms: copied - waited, write_ms: writeMs };
        written = { event: 'checkpoint', step, folder, bytes, ...times, removed };
      },
      (error: unknown) => {
        failure = error;
      },
    );
  }

  /** Whether this step was evaluated and is the best so far. */
  function isBest({ steps: step, top1 }: Progress): boolean {
    if (top1 === undefined || (best && top1 <= best.top1)) return false;
    best = { step, top1 };
    return true;
  }

  function isDue(step: number): boolean {
    if (typeof checkpointEvery === 'number') return checkpointEvery > 0 && step % checkpointEvery === 0;
    return performance.now() - lastAt >= Number.parseFloat(checkpointEvery) * MINUTE_MS;
  }

  return {
    /**
     * Starts a checkpoint if one is due after a step and its evaluation. Waits only until the towers have copied their
     * values, and for the previous checkpoint; the files are written while the training continues.
     * @throws CheckpointError if the disk refused the previous one; the older ones are untouched.
     */
    async after(progress: Progress) {
      reportWritten();
      const improved = isBest(progress) && checkpointEvery !== 0;
      if (improved || isDue(progress.steps)) await save(progress);
    },
    /** Makes a checkpoint of the last step unless there is one, and waits until it is on the disk. @throws as `after`. */
    async finish(progress: Progress) {
      isBest(progress); // a signal between an evaluation and `after` skips the latter
      if (lastStep !== progress.steps) await save(progress);
      await writing;
      reportWritten();
    },
    /** Waits for the checkpoint being written, and ends the writer's thread. */
    async close() {
      await writing;
      if (written) report(written);
      written = undefined;
      await writer?.close();
    },
  };
}

/** The tensors of a checkpoint, by tower. */
function entriesOf({ config: { net: options, optimizer }, team }: Pick<Run, 'config' | 'team'>): Entry[][] {
  const net = buildNet(options);
  return team.first.map(({ setup: { part } }) =>
    snapshotEntries(parametersOf(net, part === 'whole' ? undefined : part), optimizer.momentum),
  );
}

/**
 * Checks that the disk has space for the checkpoints. While a new one is written there is one more than are kept. Those that
 * exist take no further space.
 * @returns the bytes of one checkpoint.
 * @throws CheckpointError if the disk is too small.
 */
export function checkSpace(run: Pick<Run, 'config' | 'team'>): number {
  const { keep, out, run: name } = run.config;
  const checkpoints = checkpointsFolder(join(out, name));
  const { bytes, atOnce, free } = spaceOf(run);
  const needed = Math.max(1, atOnce - stepsIn(checkpoints).length) * bytes;
  if (free === undefined || free >= needed) return bytes;
  throw new CheckpointError(
    `Cannot keep ${plural(keep, 'checkpoint')} in ${checkpoints}: ${mebibytes(free)} are free, expected ${mebibytes(needed)}; free some space, keep fewer with --keep, or choose another folder with --out`,
    checkpoints,
  );
}

/**
 * The bytes of a checkpoint, how many there are at the same time at most, and the bytes that are free on their disk; undefined
 * if the file system does not tell its size.
 */
export function spaceOf(run: Pick<Run, 'config' | 'team'>) {
  const { keep, checkpointEvery, out, run: name } = run.config;
  const bytes = sumOf(entriesOf(run), valuesBytes);
  const { bavail, bsize, blocks } = statfsSync(existingFolder(checkpointsFolder(join(out, name))));
  return { bytes, atOnce: checkpointEvery === 0 ? 1 : keep + 1, free: blocks === 0 ? undefined : bavail * bsize };
}

/** The folder, or the nearest one above it that exists. */
function existingFolder(folder: string): string {
  const parent = dirname(folder);
  return existsSync(folder) || parent === folder ? folder : existingFolder(parent);
}
