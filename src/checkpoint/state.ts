/** What a run is besides its weights: where it stands, and what it was told. */
import { createHash } from 'node:crypto';
import { z } from 'zod';

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const score = z.number().min(0).max(1);

/** `state.json`. A field that a reader does not know makes it refuse the file. */
export const RUN_STATE = z.strictObject({
  /** Steps that were done. */
  step: count.min(1).max(9_999_999_999),
  /** The epoch of the last one, from 1, and how many of the epoch's images were seen. */
  epoch: count.min(1),
  epochImages: count,
  /** Over the whole run: images seen, and the sum of the steps' milliseconds. */
  images: count,
  trainMs: z.number().min(0),
  /** The schedule's: the kernels' learning rate in the last step. */
  learningRate: z.number().min(0),
  /**
   * The schedule's too: the error after each epoch so far, a share of the test images. Earlier versions wrote one an
   * evaluation, without its epoch.
   */
  errors: z.array(z.union([score, z.strictObject({ epoch: count.min(1), error: score })])).max(1_000_000),
  /** Of a run that went on with another rate or schedule: from which epoch on, with what share of the rate. */
  scheduleStart: z.strictObject({ epoch: count.min(1), factor: z.number().min(0) }).optional(),
  seed: count,
  /** Of the evaluation after this step, when there was one: the share of right answers. */
  top1: score.optional(),
  /** The best evaluation so far. */
  best: z.strictObject({ step: count.min(1), top1: score }).optional(),
  /** What the rules of `warnings.ts` remember of the run: the first loss, and the least mean of as many as they take. */
  losses: z
    .strictObject({ first: z.strictObject({ step: count.min(1), loss: z.number() }), best: z.number().optional() })
    .optional(),
  placement: z.enum(['split', 'single']),
  /** All settings, and the hash of those that a resumed run must share; see `hashOf`. */
  config: z.record(z.string(), z.unknown()),
  configHash: z.string().regex(/^[0-9a-f]{64}$/),
  data: z.strictObject({ name: z.string(), trainImages: count, testImages: count }),
  classes: z.array(z.string()).max(65_536),
  versions: z.record(z.string(), z.string()),
});

export type RunState = z.infer<typeof RUN_STATE>;

/** SHA-256 of a JSON value, whatever order its keys are in. */
export function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
