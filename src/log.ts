/**
 * The run's log: which events there are, typed in this one place, and the file they go to. `docs/log-events.md` tells
 * unit and meaning of every field, and a test holds the two together.
 *
 * A line is one event: `{"time":<epoch ms>,"event":"train_step",…}`. pino's level, pid and hostname are left out: every
 * line has the same ones. Writes are synchronous, so a run that is killed keeps every line it wrote.
 */
import { closeSync, constants, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DestinationStream, pino } from 'pino';
import { z } from 'zod';
import { SplitError } from './errors.js';
import { printable } from './printable.js';
import { openNoFollow } from './safe-write.js';

const NON_FINITE = ['NaN', 'Infinity', '-Infinity'];

/** A number; in a line of the log, where JSON has no word for them, `"NaN"`, `"Infinity"` or `"-Infinity"`. */
const number = z.custom<number>((value) => typeof value === 'number' || NON_FINITE.includes(value as string));
const text = z.string();

/** What a training is warned of: docs/warnings.md. Other warnings have no kind. */
export const WARNING_KINDS = [
  ...(['no-learning', 'collapse', 'rising-loss', 'test-at-chance'] as const),
  ...(['dead-units', 'no-signal', 'weak-signal', 'large-activations'] as const),
] as const;

/** Every event and its fields. */
export const EVENTS = {
  run_start: z.strictObject({
    run: text,
    placement: z.enum(['split', 'single']),
    preset: text,
    config: z.custom<object>((value) => typeof value === 'object' && value !== null),
    versions: z.strictObject({ alexnet_split: text, node: text, tensorflow: text, tfjs: text }),
    parameters: number,
    towers: z.array(z.strictObject({ tower: number, device: text, backing_device: text, parameters: number })),
    dataset: z.strictObject({ name: text, source: text, train_images: number, test_images: number }),
    steps: number,
    steps_per_epoch: number,
    branch: z
      .strictObject({
        checkpoint: text,
        step: number,
        changes: z.array(z.strictObject({ setting: text, was: text, now: text })),
      })
      .optional(),
  }),
  check: z.strictObject({
    steps: number,
    worst_relative: number,
    tensor: text,
    tolerance: number,
    passed: z.boolean(),
    check_ms: number,
  }),
  train_step: z.strictObject({
    step: number,
    epoch: number,
    images: number,
    loss: number,
    top1: number,
    learning_rate: number,
    step_ms: number,
    data_ms: number,
    compute_ms: number,
    exchange_ms: number,
    wait_ms: number,
    other_ms: number,
    exchange_bytes: number,
    images_per_s: number,
    towers: z.array(
      z.strictObject({
        tower: number,
        step_ms: number,
        compute_ms: number,
        exchange_ms: number,
        wait_ms: number,
        exchange_bytes: number,
      }),
    ),
  }),
  eval: z.strictObject({
    step: number,
    epoch: number,
    images: number,
    loss: number,
    top1: number,
    top5: number,
    eval_ms: number,
  }),
  activations: z.strictObject({
    step: number,
    images: number,
    layers: z.array(
      z.strictObject({
        layer: text,
        tower: number,
        mean: number,
        sd: number,
        max: number,
        zero: number,
        signal: number,
        units: number,
        dead: number.optional(),
      }),
    ),
  }),
  checkpoint: z.strictObject({
    step: number,
    folder: text,
    bytes: number,
    wait_ms: number,
    copy_ms: number,
    write_ms: number,
    removed: z.array(text),
  }),
  resume: z.strictObject({
    step: number,
    checkpoint: text,
    skipped: z.array(z.strictObject({ checkpoint: text, why: text })),
  }),
  run_end: z.strictObject({
    status: z.enum(['done', 'failed', 'stopped']),
    exit_code: number,
    steps: number,
    images: number,
    train_ms: number,
    images_per_s: number,
    top1: number.optional(),
    unreadable_images: number.optional(),
    error: text.optional(),
    batch_images: z.array(text).optional(),
    weights: text.optional(),
  }),
  warning: z.strictObject({
    message: text,
    kind: z.enum(WARNING_KINDS).optional(),
    step: number.optional(),
    value: number.optional(),
    bound: number.optional(),
    layers: z.array(z.strictObject({ layer: text, tower: number, value: number })).optional(),
  }),
} as const;

/** A kind of {@link WARNING_KINDS}. */
export type WarningKind = (typeof WARNING_KINDS)[number];

export type EventName = keyof typeof EVENTS;

/** One event, told apart by its `event`. */
export type LogEvent = { [Name in EventName]: { event: Name } & z.infer<(typeof EVENTS)[Name]> }[EventName];

/** The event of that name. */
export type EventOf<Name extends EventName> = Extract<LogEvent, { event: Name }>;

/** Takes an event: the log, a display, or both. */
export type Report = (event: LogEvent) => void;

/** An open log file. */
export interface RunLog {
  /** Adds a line. @throws SplitError that names the file, when the disk does not take it. */
  write: Report;
  close(): void;
}

/**
 * Opens a log to add to; makes the file and its folders when they are not there.
 * @throws SplitError that names the file, when it cannot be made, or is a link.
 */
export function openLog(file: string): RunLog {
  const descriptor = guarded(file, () => {
    mkdirSync(dirname(file), { recursive: true });
    return openNoFollow(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT);
  });
  const destination = pino.destination({ dest: descriptor, sync: true });
  const log = pino(
    // An empty level leaves `{` alone, so the time comes without pino's leading comma.
    { base: null, formatters: { level: () => ({}) }, timestamp: () => `"time":${Date.now()}` },
    // Who reads the log with `cat` has a terminal too.
    { write: (line: string) => destination.write(`${printable(line.trimEnd())}\n`) } as DestinationStream,
  );
  return {
    write: (event) => guarded(file, () => log.info(visible(event))),
    // Every line is on the disk already; `end()` would try again what a full disk refused.
    close: () => closeSync(descriptor),
  };
}

/** An event's line as the log has it, without the line's end. */
export function eventLine(event: LogEvent): string {
  return printable(JSON.stringify({ time: Date.now(), ...(visible(event) as object) }));
}

/** The value with NaN and the infinities as strings, at any depth, where JSON would have `null`. */
export function visible(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (Array.isArray(value)) return value.map(visible);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, visible(each)]));
}

const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full; make room, or choose another folder with --out',
  EACCES: 'this user may not write there; choose another folder with --out',
  EROFS: 'the file system is read-only; choose another folder with --out',
  EDQUOT: 'the quota is used up; make room, or choose another folder with --out',
  ELOOP: 'it is a link, expected a plain file; take it away, or choose another --run',
  ENXIO: 'it is no file, expected a plain one; take it away, or choose another --run',
  EISDIR: 'it is a folder; move it away, or choose another --run',
  EEXIST: 'part of the path is a file; choose another folder with --out',
  ENOTDIR: 'part of the path is a file; choose another folder with --out',
};

/** Runs `action`; what the disk refuses becomes one sentence. */
function guarded<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new SplitError(`Cannot write the log ${file}: ${REASONS[code] ?? message}`, { cause: error });
  }
}
