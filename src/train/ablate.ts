/** The paper's ablations: variants of a net with one thing changed. */
import type { Config } from '../config/config.js';
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

interface Baseline extends Pick<Config, 'net' | 'data' | 'optimizer'> {
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
  {
    ...{ name: 'no-crop', change: 'no random crops', values: { data: { randomCrop: false } } },
    applies: ({ data }) => data.randomCrop,
    reason: 'images are not cropped at random',
  },
  {
    ...{ name: 'no-flip', change: 'no mirror images', values: { data: { flip: false } } },
    applies: ({ data }) => data.flip,
    reason: 'images are not mirrored',
  },
  {
    ...{ name: 'no-colour-noise', change: 'no noise of colours', values: { data: { colourNoise: { strength: 0 } } } },
    applies: ({ data }) => data.colourNoise.strength > 0,
    reason: 'the images get no noise of colours',
  },
  {
    ...{ name: 'no-weight-decay', change: 'no weight decay' },
    values: { optimizer: { weightDecay: 0, biasDecay: 0 } },
    applies: ({ optimizer }) => optimizer.weightDecay > 0 || optimizer.biasDecay > 0,
    reason: 'there is no weight decay',
  },
];

/** The names of all variants. */
export const VARIANT_NAMES: readonly string[] = ABLATIONS.map(({ name }) => name);

/** The variants that change these settings, and those that do not, with the reason. The baseline is in neither list. */
export function variantsOf({ net, data, optimizer }: Config) {
  const baseline = { net, data, optimizer, layers: buildNet(net).layers };
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
