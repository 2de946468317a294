/** What the paper measured by leaving something out: a net's variants with one thing changed, and what each came to. */
import type { Config } from '../config/config.js';
import type { EventOf, LogEvent } from '../log.js';
import { buildNet, type PlacedLayer } from '../model/net.js';

/** The settings with one thing changed. */
export interface Variant {
  name: string;
  /** What is changed, for people. */
  change: string;
  /** What to lay over the settings: a part of a {@link Config}. */
  values: Readonly<Record<string, unknown>>;
}

/** A variant that these settings do not have, and why. */
export interface Missing {
  name: string;
  reason: string;
}

/** The settings as they are; everything is compared with them. */
export const BASELINE: Variant = { name: 'baseline', change: 'nothing', values: {} };

/** Training images as test images are: what `no-augmentation` lays over `data`. */
const PLAIN_IMAGES = {
  ...{ randomCrop: false, flip: false, brightness: 0, contrast: 0, saturation: 0 },
  colourNoise: { strength: 0 },
} as const;

/** The table that has a form on one GPU and one with its columns apart. */
const WITH_FORMS = 'original';

/** Fewest classes of which the five best say something: of ten, half of all answers would be right by chance. */
const TOP5_CLASSES = 20;

/** Whether the top-5 error of a net with so many classes says something. */
export function hasTop5(classes: number): boolean {
  return classes >= TOP5_CLASSES;
}

/** Every variant's name, whether or not some settings have it. */
export const VARIANT_NAMES = [
  ...['no-norm', 'no-overlap', 'one-gpu', 'columns', 'relu', 'sigmoid', 'tanh'],
  ...['no-dropout', 'no-augmentation'],
] as const;

/** The variants that differ from these settings, and those that do not with the reason. The baseline is not among them. */
export function variantsOf({ net, data }: Config): { variants: Variant[]; missing: Missing[] } {
  const { layers } = buildNet(net);
  const has = (wanted: (layer: PlacedLayer) => boolean) => layers.some(wanted);
  const functions = new Set(layers.flatMap((layer) => (layer.kind === 'activation' ? [layer.function] : [])));
  const variants: Variant[] = [];
  const missing: Missing[] = [];
  const add = (name: string, isThere: boolean, reason: string, change: string, values: Variant['values']) => {
    if (isThere) variants.push({ name, change, values });
    else missing.push({ name, reason });
  };

  const norms = has(({ kind }) => kind === 'norm' || kind === 'mapNorm');
  add('no-norm', norms, 'the net has no response norm', 'no response norms', { net: { norm: false } });
  const overlaps = has((layer) => layer.kind === 'pool' && layer.size > layer.stride);
  const apart = 'pools whose windows do not overlap';
  add('no-overlap', overlaps, 'no pool of the net overlaps', apart, { net: { overlap: false } });
  const isOriginal = net.table === WITH_FORMS;
  const noForm = `there is such a form of the net ${WITH_FORMS} alone`;
  const oneGpu = { net: { table: 'one-gpu' }, placement: 'single' };
  add('one-gpu', isOriginal, noForm, 'half the kernels, on one device', oneGpu);
  add('columns', isOriginal, noForm, 'columns meet in the last layer alone', { net: { table: 'columns' } });
  for (const activation of ['relu', 'sigmoid', 'tanh'] as const) {
    const differs = functions.size > 1 || !functions.has(activation);
    add(activation, differs, 'the baseline has it', `${activation} everywhere`, { net: { activation } });
  }
  const drops = has(({ kind }) => kind === 'dropout');
  add('no-dropout', drops, 'the net has no dropout', 'no dropout', { net: { dropout: false } });
  const augments = !contains(data, PLAIN_IMAGES);
  const same = 'every image as it is, in every epoch';
  add('no-augmentation', augments, 'images are not changed at random', same, { data: PLAIN_IMAGES });
  return { variants, missing };
}

/** Whether all that `part` says is so in `whole`, at any depth. */
function contains(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return whole === part;
  return Object.entries(part).every(([key, value]) => contains((whole as Record<string, unknown>)[key], value));
}

/** What a training came to. Errors are shares of the test images, from 0 to 1. */
export interface Result {
  status: EventOf<'run_end'>['status'];
  steps: number;
  parameters: number;
  placement: string;
  /** Absent when the training did not get to its last evaluation. */
  top1Error?: number;
  top5Error?: number;
  testLoss?: number;
  /** Over all steps but the first of each process, which compiles; absent when there was no second. */
  imagesPerSecond?: number;
  /** On CPUs: how many cores its ops could have at a time. Speeds with different ones do not compare nets. */
  cores?: number;
  /** Why it failed. */
  error?: string;
}

/** Watches a training's events, those of processes before too; `result()` is what it came to so far. */
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
