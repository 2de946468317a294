/** The paper's ablations: variants of a net with one thing changed, and the result of each training. */
import type { Config } from '../config/config.js';
import type { EventOf, LogEvent } from '../log.js';
import { buildNet, type PlacedLayer } from '../model/net.js';

/** Settings with one thing changed. */
export interface Variant {
  name: string;
  /** The change, for people. */
  change: string;
  /** The part of a {@link Config} that overrides the settings. */
  values: Readonly<Record<string, unknown>>;
}

export type Missing = ReturnType<typeof variantsOf>['missing'][number];

/** The unchanged settings, with which every variant is compared. */
export const BASELINE: Variant = { name: 'baseline', change: 'nothing', values: {} };

/** Prepares training images as test images are. */
const NO_AUGMENTATION = {
  ...{ randomCrop: false, flip: false, brightness: 0, contrast: 0, saturation: 0 },
  colourNoise: { strength: 0 },
} as const;

interface Baseline extends Pick<Config, 'net' | 'data'> {
  layers: readonly PlacedLayer[];
}

const isOriginal = ({ net }: Baseline) => net.table === 'original';
const NOT_ORIGINAL = 'only the net original has such a variant';

/** The variants, the settings they apply to, and why other settings do not have them. */
const ABLATIONS: readonly (Variant & { applies(baseline: Baseline): boolean; reason: string })[] = [
  {
    ...{ name: 'no-norm', change: 'no response normalization', values: { net: { norm: false } } },
    applies: ({ layers }) => layers.some(({ kind }) => kind === 'norm' || kind === 'mapNorm'),
    reason: 'the net has no response normalization',
  },
  {
    ...{ name: 'no-overlap', change: 'pools whose windows do not overlap', values: { net: { overlap: false } } },
    applies: ({ layers }) => layers.some((layer) => layer.kind === 'pool' && layer.size > layer.stride),
    reason: 'no pool of the net overlaps',
  },
  {
    ...{ name: 'one-gpu', change: 'half the kernels, on one device', applies: isOriginal, reason: NOT_ORIGINAL },
    values: { net: { table: 'one-gpu' }, placement: 'single' },
  },
  {
    ...{ name: 'columns', change: 'columns meet in the last layer alone', applies: isOriginal, reason: NOT_ORIGINAL },
    values: { net: { table: 'columns' } },
  },
  ...(['relu', 'sigmoid', 'tanh'] as const).map((name) => ({
    ...{ name, change: `${name} everywhere`, values: { net: { activation: name } } },
    applies: ({ layers }: Baseline) => layers.some((layer) => layer.kind === 'activation' && layer.function !== name),
    reason: 'the baseline has it',
  })),
  {
    ...{ name: 'no-dropout', change: 'no dropout', values: { net: { dropout: false } } },
    applies: ({ layers }) => layers.some(({ kind }) => kind === 'dropout'),
    reason: 'the net has no dropout',
  },
  {
    ...{ name: 'no-augmentation', change: 'every image as it is, in every epoch', values: { data: NO_AUGMENTATION } },
    applies: ({ data }) => !contains(data, NO_AUGMENTATION),
    reason: 'images are not augmented',
  },
];

/** The names of all variants. */
export const VARIANT_NAMES: readonly string[] = ABLATIONS.map(({ name }) => name);

/** The variants that change these settings, and those that do not, with the reason. The baseline is in neither list. */
export function variantsOf({ net, data }: Config) {
  const baseline = { net, data, layers: buildNet(net).layers };
  return {
    variants: ABLATIONS.filter(({ applies }) => applies(baseline)).map(
      ({ name, change, values }): Variant => ({ name, change, values }),
    ),
    missing: ABLATIONS.filter(({ applies }) => !applies(baseline)).map(({ name, reason }) => ({ name, reason })),
  };
}

/** Whether `whole` has every value of `part`, at any depth. */
function contains(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return whole === part;
  return Object.entries(part).every(([key, value]) => contains((whole as Record<string, unknown>)[key], value));
}

/** Whether the top-5 error means anything: with ten classes, half of all top-5 answers would be right by chance. */
export function hasTop5(classes: number): boolean {
  return classes >= 20;
}

/** The result of a training. Errors are shares of the test images, from 0 to 1. */
export interface Result {
  status: EventOf<'run_end'>['status'];
  steps: number;
  parameters: number;
  placement: string;
  /** Absent if the training did not reach its last evaluation. */
  top1Error?: number;
  top5Error?: number;
  testLoss?: number;
  /** Over all steps but the first of each process, which compiles; absent if there was no other. */
  imagesPerSecond?: number;
  /** On CPUs: how many cores its ops could use at a time. Speeds with different numbers cannot be compared. */
  cores?: number;
  /** Why it failed. */
  error?: string;
}

/** Computes a training's result from its events, including those of earlier processes of the same run. */
export function watchTraining(): { see(event: LogEvent): void; result(): Result | undefined } {
  let start: EventOf<'run_start'> | undefined;
  let evaluation: EventOf<'eval'> | undefined;
  let end: EventOf<'run_end'> | undefined;
  const later = { images: 0, ms: 0 };
  let isFirst = true;
  return {
    see(event) {
      if (event.event === 'run_start') {
        start = event;
        end = undefined;
        isFirst = true;
      }
      if (event.event === 'eval') evaluation = event;
      if (event.event === 'run_end') end = event;
      if (event.event !== 'train_step') return;
      if (!isFirst) later.images += event.images;
      if (!isFirst) later.ms += event.step_ms;
      isFirst = false;
    },
    result() {
      if (!start || !end) return undefined;
      const { parameters, placement } = start;
      const last = end.status === 'done' && evaluation?.step === end.steps ? evaluation : undefined;
      return {
        ...{ status: end.status, steps: end.steps, parameters, placement },
        ...(last && { top1Error: 1 - last.top1, top5Error: 1 - last.top5, testLoss: last.loss }),
        ...(later.ms > 0 && { imagesPerSecond: (later.images / later.ms) * 1000 }),
        ...(end.error !== undefined && { error: end.error }),
      };
    },
  };
}
