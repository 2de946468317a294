/**
 * The table of all events of a run's log. `docs/log-events.md` documents the unit and the meaning of every field; a test
 * compares the two. `log-writer.ts` writes the lines.
 */
import { z } from 'zod';

const NON_FINITE = ['NaN', 'Infinity', '-Infinity'];

/** A number. JSON cannot write NaN and infinities, so a log line has the strings `"NaN"`, `"Infinity"`, `"-Infinity"`. */
const number = z.custom<number>((value) => typeof value === 'number' || NON_FINITE.includes(value as string));
const text = z.string();

/** Fields that are numbers. */
function numbers<Name extends string>(...names: Name[]): Record<Name, typeof number> {
  return Object.fromEntries(names.map((name) => [name, number])) as Record<Name, typeof number>;
}

/** Fields that are numbers, and may be absent. */
function optionalNumbers<Name extends string>(...names: Name[]): Record<Name, z.ZodOptional<typeof number>> {
  const fields = names.map((name) => [name, number.optional()]);
  return Object.fromEntries(fields) as Record<Name, z.ZodOptional<typeof number>>;
}

/** The kinds of warnings about a training: docs/warnings.md. Other warnings have no kind. */
export const WARNING_KINDS = [
  ...(['no-learning', 'collapse', 'rising-loss', 'test-at-chance', 'below-majority'] as const),
  ...(['dead-units', 'no-signal', 'weak-signal', 'large-activations'] as const),
] as const;

/** What a tower does in a span of a traced step. `pass`: forward and backward, where nothing shows which of the two. */
export const TRACE_PARTS = ['data', 'forward', 'backward', 'pass', 'exchange', 'wait', 'update', 'other'] as const;

/** What goes over the network in a step. `average`: gradients to the other replicas; `answers`: loss, logits and norms. */
export const NETWORK_CONTENTS = ['images', 'activations', 'gradients', 'average', 'answers'] as const;

export const EVENTS = {
  run_start: z.strictObject({
    run: text,
    placement: z.enum(['split', 'single']),
    preset: text,
    config: z.custom<object>((value) => typeof value === 'object' && value !== null),
    versions: z.strictObject({ alexnet_split: text, node: text, tensorflow: text, tfjs: text }),
    ...numbers('parameters', 'steps', 'steps_per_epoch'),
    frozen: z.strictObject({ layers: z.array(text), parameters: number }).optional(),
    towers: z.array(z.strictObject({ ...numbers('tower', 'parameters'), device: text, backing_device: text })),
    processes: z
      .array(
        z.strictObject({
          role: z.enum(['coordinator', 'server']),
          address: text,
          tensorflow: text,
          devices: z.array(text),
        }),
      )
      .optional(),
    dataset: z.strictObject({
      ...{ name: text, source: text, ...numbers('train_images', 'test_images') },
      test_majority: number.optional(),
      val_share: number.optional(),
      all_train_images: number.optional(),
    }),
    data_workers: z
      .strictObject({ ...numbers('workers', 'cores'), decoders: number.optional(), reason: text })
      .optional(),
    branch: z
      .strictObject({
        checkpoint: text,
        step: number,
        changes: z.array(z.strictObject({ setting: text, was: text, now: text })),
      })
      .optional(),
  }),
  check: z.strictObject({
    ...numbers('steps', 'worst_relative', 'tolerance', 'check_ms'),
    tensor: text,
    passed: z.boolean(),
  }),
  train_step: z.strictObject({
    ...numbers('step', 'epoch', 'images', 'loss', 'top1', 'learning_rate', 'images_per_s'),
    ...numbers('step_ms', 'data_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'other_ms', 'exchange_bytes'),
    ...optionalNumbers('decode_ms', 'ready_images', 'read_bytes', 'device_bytes', 'gradient_norm', 'resident_bytes'),
    ...optionalNumbers('replicas', 'average_bytes'),
    // Of a line of several steps: see `step-lines.ts`.
    ...optionalNumbers('steps', 'last_loss'),
    worst: z
      .strictObject({
        ...numbers('loss', 'step_ms', 'data_ms', 'compute_ms', 'exchange_ms', 'wait_ms'),
        ...optionalNumbers('gradient_norm', 'decode_ms', 'ready_images'),
      })
      .optional(),
    towers: z.array(
      z.strictObject(numbers('tower', 'step_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'exchange_bytes')),
    ),
  }),
  eval: z.strictObject({
    ...numbers('step', 'epoch', 'images', 'loss', 'top1', 'top5', 'eval_ms'),
    gap_ms: number.optional(),
    data_ms: number.optional(),
  }),
  activations: z.strictObject({
    ...numbers('step', 'images'),
    layers: z.array(
      z.strictObject({
        layer: text,
        ...numbers('tower', 'mean', 'sd', 'max', 'zero', 'signal', 'units'),
        dead: number.optional(),
      }),
    ),
  }),
  exchange: z.strictObject({
    step: number,
    sites: z.array(
      z.strictObject({ site: text, direction: z.enum(['forward', 'backward']), ...numbers('tower', 'bytes') }),
    ),
  }),
  network: z.strictObject({
    ...numbers('step', 'steps'),
    links: z.array(
      z.strictObject({
        from: text,
        to: text,
        counted_bytes: number,
        measured_bytes: number.optional(),
        contents: z.array(z.strictObject({ what: z.enum(NETWORK_CONTENTS), site: text.optional(), bytes: number })),
      }),
    ),
  }),
  memory: z.strictObject({
    ...numbers('step', 'resident_bytes', 'heap_bytes'),
    towers: z.array(z.strictObject(numbers('tower', 'tensors', 'tensor_bytes'))),
  }),
  trace: z.strictObject({
    ...numbers('step', 'step_ms'),
    source: z.enum(['profiler', 'host']),
    file: text.optional(),
    towers: z.array(
      z.strictObject({
        ...numbers('tower', 'hidden_exchange_ms'),
        parts_ms: z.strictObject(numbers(...TRACE_PARTS)),
        spans: z.array(
          z.strictObject({
            name: text,
            part: z.enum(TRACE_PARTS),
            layer: text.optional(),
            lane: z.enum(['function', 'thread']),
            ...numbers('start_ms', 'ms'),
          }),
        ),
      }),
    ),
  }),
  checkpoint: z.strictObject({
    ...numbers('step', 'bytes', 'wait_ms', 'copy_ms', 'write_ms'),
    folder: text,
    removed: z.array(text),
  }),
  resume: z.strictObject({
    step: number,
    checkpoint: text,
    skipped: z.array(z.strictObject({ checkpoint: text, why: text })),
  }),
  server_lost: z.strictObject({ step: number, server: text, reason: text }),
  servers_back: z.strictObject(numbers('step', 'waited_ms', 'times')),
  run_end: z.strictObject({
    status: z.enum(['done', 'failed', 'stopped']),
    ...numbers('exit_code', 'steps', 'images', 'train_ms', 'images_per_s'),
    top1: number.optional(),
    unreadable_images: number.optional(),
    servers_lost: number.optional(),
    error: text.optional(),
    batch_images: z.array(text).optional(),
    weights: text.optional(),
    overfit: z.strictObject({ first_loss: number, last_loss: number, learnt: z.boolean() }).optional(),
  }),
  warning: z.strictObject({
    message: text,
    kind: z.enum(WARNING_KINDS).optional(),
    step: number.optional(),
    value: number.optional(),
    bound: number.optional(),
    layers: z.array(z.strictObject({ layer: text, ...numbers('tower', 'value') })).optional(),
  }),
} as const;

export type WarningKind = (typeof WARNING_KINDS)[number];

export type EventName = keyof typeof EVENTS;

/** One event; `event` is its name. */
export type LogEvent = { [Name in EventName]: { event: Name } & z.infer<(typeof EVENTS)[Name]> }[EventName];

export type EventOf<Name extends EventName> = Extract<LogEvent, { event: Name }>;

/** Takes an event: writes it to the log, displays it, or both. */
export type Report = (event: LogEvent) => void;

/** Replaces NaN and infinities by strings, at any depth; `JSON.stringify` would write null. */
export function nonFiniteAsStrings(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (Array.isArray(value)) return value.map(nonFiniteAsStrings);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, nonFiniteAsStrings(each)]));
}
