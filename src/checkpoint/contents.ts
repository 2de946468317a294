/** The text files of a checkpoint: `state.json`, and `manifest.json`, which lists the files and is written last. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { truncate } from '../errors.js';
import { describePlaceholder } from '../file-kind.js';
import { tryParseJson } from '../read-json.js';
import { weightsNames } from './weights-files.js';

export const MANIFEST_NAME = 'manifest.json';
export const STATE_NAME = 'state.json';

/** Far more than the manifest of two towers has. */
export const MAX_MANIFEST_BYTES = 16_384;
/** Enough for the names of 65,536 classes. */
export const MAX_STATE_BYTES = 2 ** 24;

/** Why a checkpoint cannot be used. */
export class Damage extends Error {}

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const stepNumber = count.min(1).max(9_999_999_999);
const score = z.number().min(0).max(1);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** `state.json`: all of a run but its weights. */
export const RUN_STATE = z.strictObject({
  step: stepNumber,
  /** Of the last step, from 1; and how many images of that epoch the run has seen. */
  epoch: count.min(1),
  epochImages: count,
  /** Of the whole run: images seen, and the sum of the steps' milliseconds. */
  images: count,
  trainMs: z.number().min(0),
  /** The kernels' learning rate in the last step. */
  learningRate: z.number().min(0),
  /** For the schedule: the test error (0 to 1) after each epoch. Earlier versions wrote plain numbers, one an evaluation. */
  errors: z.array(z.union([score, z.strictObject({ epoch: count.min(1), error: score })])).max(1_000_000),
  /** Of a run that was resumed with another rate or schedule: the epoch at which that starts, the factor of the rate, whether the warm-up starts there too, and the last step before. */
  scheduleStart: z
    .strictObject({
      ...{ epoch: count.min(1), factor: z.number().min(0), warmup: z.boolean().optional() },
      step: count.optional(),
    })
    .optional(),
  seed: count,
  /** The top-1 accuracy of the evaluation after this step, if there was one. */
  top1: score.optional(),
  best: z.strictObject({ step: count.min(1), top1: score }).optional(),
  /** For the warnings: the first loss, and the least mean loss of a window. */
  losses: z
    .strictObject({ first: z.strictObject({ step: count.min(1), loss: z.number() }), best: z.number().optional() })
    .optional(),
  placement: z.enum(['split', 'single']),
  /** All settings, and the {@link hashOf} those that a resumed run must share. */
  config: z.record(z.string(), z.unknown()),
  configHash: sha256,
  data: z.strictObject({ name: z.string(), trainImages: count, testImages: count }),
  classes: z.array(z.string()).max(65_536),
  versions: z.record(z.string(), z.string()),
});

export type RunState = z.infer<typeof RUN_STATE>;

/** SHA-256 of a JSON value, whatever the order of its keys. */
export function hashOf(value: unknown): string {
  const text = JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
  return createHash('sha256').update(text).digest('hex');
}

/** @throws Damage if the text is not a valid state. */
export function parseState(text: string): RunState {
  return parse(STATE_NAME, RUN_STATE, text);
}

const MANIFEST = z.strictObject({
  format: z.literal(1),
  step: stepNumber,
  files: z.array(z.strictObject({ name: z.string(), bytes: count.min(1), sha256 })),
});

export type Manifest = z.infer<typeof MANIFEST>;

/** The text of a manifest; {@link parseManifest} accepts no other. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** The names of a checkpoint's files, the state first. */
export function fileNames(towers: number): string[] {
  return [STATE_NAME, ...weightsNames(towers)];
}

/**
 * Accepts only the names of {@link fileNames}, so none leads out of the folder, and only the text of {@link manifestText},
 * so any changed byte is found.
 * @throws Damage if the text is not a valid manifest.
 */
export function parseManifest(text: string): Manifest {
  const manifest = parse(MANIFEST_NAME, MANIFEST, text);
  const names = manifest.files.map(({ name }) => name).join();
  if (![1, 2].some((towers) => names === fileNames(towers).join())) {
    const listed = JSON.stringify(names).slice(0, 200);
    throw new Damage(`${MANIFEST_NAME}: it lists ${listed}, expected ${fileNames(1)} or ${fileNames(2)}`);
  }
  if (manifestText(manifest) !== text) throw new Damage(`${MANIFEST_NAME}: it was changed`);
  return manifest;
}

function parse<T>(name: string, schema: z.ZodType<T>, text: string): T {
  const json = tryParseJson(text);
  if (json === undefined) throw new Damage(`${name}: ${describePlaceholder(text) ?? 'it is not JSON'}`);
  const { data, error } = schema.safeParse(json);
  if (error) throw new Damage(`${name}: ${describeIssue(error)}`);
  return data as T;
}

/** The first field that a schema refuses, and why. */
export function describeIssue({ issues: [issue] }: z.ZodError): string {
  const field = truncate(issue!.path.join('.'), 120) || 'the whole';
  return `${field} is wrong (${truncate(issue!.message, 200)})`;
}
