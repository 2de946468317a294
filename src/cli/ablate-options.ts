/** What `ablate` is asked for: `--seeds`, `--variants` and `--set`. */
import type { Config } from '../config/config.js';
import { FLAGS } from '../config/flags.js';
import { rangesOf } from '../config/steps.js';
import { ConfigError, truncate } from '../errors.js';
import { BASELINE, VARIANT_NAMES, type Variant, variantsOf } from '../train/ablate.js';
import type { AblationVariant, EarlierAblation } from './ablation.js';
import { numberOrText } from './options.js';

/** A number of seeds, or the seeds themselves. */
export type Seeds = number | readonly number[];

const MOST_SEEDS = 1000;
/** The names of variants are names of folders, and the first part of `--set`. */
const NAME = /^[a-z0-9][a-z0-9-]{0,60}$/i;

/** `5`: that many, from the settings' seed up. `1,2,7` or `4-6`: these. @throws ConfigError for other texts. */
export function seedsOf(text: string): Seeds {
  const amount = numberOrText(text);
  if (typeof amount === 'number' && Number.isInteger(amount) && amount >= 1 && amount <= MOST_SEEDS) return amount;
  const ranges = typeof amount === 'string' ? (rangesOf(text) ?? []) : [];
  const total = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  if (total >= 1 && total <= MOST_SEEDS) {
    const seeds = ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
    return [...new Set(seeds)].sort((a, b) => a - b);
  }
  throw new ConfigError(
    `--seeds is ${truncate(JSON.stringify(text))}, expected a number of seeds from 1 to ${MOST_SEEDS}, or a list such as 1,2,7 or 4-6`,
  );
}

/** The seeds as a list. @param first the settings' seed. @throws ConfigError if one is too large. */
export function seedList(seeds: Seeds, first: number): number[] {
  const list = typeof seeds === 'number' ? Array.from({ length: seeds }, (_, i) => first + i) : [...seeds];
  const last = list.at(-1)!;
  if (last < 2 ** 32) return list;
  throw new ConfigError(`Cannot use the seed ${last}: expected seeds up to ${2 ** 32 - 1}; choose another --seed`);
}

/** What all variants have in common, so that they are tested on the same images, or what the ablation gives each. */
const SHARED = ['preset', 'seed', 'run', 'out', 'data.source', 'data.valShare', 'overfit'];

/** A setting of one variant, as it was typed: `tanh.lr=0.005`. */
export interface Assignment {
  variant: string;
  /** Flag without dashes, or path of a setting. */
  setting: string;
  value: unknown;
}

/** Adds an assignment to those before it. @throws ConfigError for a text that is not one. */
export function assignmentsOf(text: string, before: readonly Assignment[] = []): readonly Assignment[] {
  const found = /^([^.=]+)\.([^=]+)=(.+)$/s.exec(text);
  if (!found) {
    throw new ConfigError(
      `--set is ${truncate(JSON.stringify(text))}, expected VARIANT.SETTING=VALUE, such as tanh.lr=0.005 or no-norm.optimizer.learningRate=0.01`,
    );
  }
  const [, variant = '', setting = '', typed = ''] = found;
  if (SHARED.includes(pathOf(setting))) {
    throw new ConfigError(
      `Cannot use --set ${truncate(variant)}.${truncate(setting)}: all variants have the same ${truncate(setting)}; use a flag instead`,
    );
  }
  return [...before, { variant, setting, value: parsed(typed) }];
}

/** JSON if it is some, otherwise the text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return numberOrText(text);
  }
}

/**
 * The variants to train after the baseline, in the order of the list of variants; the user's own ones follow.
 * @param names that were typed; undefined for all. @param earlier variants that an earlier process trained.
 * @throws ConfigError for a name that is none, a variant that these settings do not have, and a `--set` of no such variant.
 */
export function chooseVariants(
  config: Config,
  names: readonly string[] | undefined,
  assignments: readonly Assignment[],
  earlier: readonly AblationVariant[] = [],
): Variant[] {
  const { variants, missing } = variantsOf(config);
  const own = (name: string) => assignments.filter(({ variant }) => variant === name);
  for (const name of names ?? []) {
    if ([...variants, ...earlier].some((each) => each.name === name && name !== BASELINE.name)) continue;
    const reason = missing.find((each) => each.name === name)?.reason;
    if (reason !== undefined) {
      throw new ConfigError(`Cannot ablate ${name}: ${reason}; leave it out of --variants`);
    }
    const isFree = NAME.test(name) && name !== BASELINE.name;
    if (isFree && own(name).length > 0) continue;
    throw new ConfigError(
      `--variants has ${JSON.stringify(name)}, expected names among ${VARIANT_NAMES.join(', ')}${isFree ? `, or one of your own with its settings, such as --set ${truncate(name)}.lr=0.005` : ''}; the baseline is always trained`,
    );
  }
  const known = variants.filter(({ name }) => names?.includes(name) ?? true);
  const others = [...new Set(names)].filter((name) => !known.some((each) => each.name === name));
  const chosen = [...known, ...others.map((name): Variant => ({ name, change: '', values: {} }))];
  const idle = assignments.find(({ variant }) => !chosen.some(({ name }) => name === variant));
  if (idle) {
    const isBaseline = idle.variant === BASELINE.name;
    throw new ConfigError(
      `Cannot use --set ${truncate(idle.variant)}.${truncate(idle.setting)}: ${isBaseline ? 'the baseline has the settings of all; use a flag instead' : 'no variant of that name is trained; add it to --variants'}`,
    );
  }
  return chosen.map((variant) => withOwn(variant, own(variant.name)));
}

function withOwn({ name, change, values }: Variant, assignments: readonly Assignment[]): Variant {
  const all = structuredClone(values) as Record<string, unknown>;
  for (const { setting, value } of assignments) put(all, pathOf(setting).split('.'), value);
  const said = assignments.map(({ setting, value }) => `${setting} ${truncate(JSON.stringify(value))}`);
  return { name, change: [change, ...said].filter((part) => part !== '').join(', '), values: all };
}

/** The path of a flag's setting, or the setting as it is. */
function pathOf(setting: string): string {
  return FLAGS.find(({ name, kind }) => name === `--${setting}` && kind !== 'off')?.path ?? setting;
}

function put(values: Record<string, unknown>, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (key === '__proto__') return; // an unknown setting, which nothing may be written to
  if (rest.length === 0) {
    values[key] = value;
    return;
  }
  const inner = Object.hasOwn(values, key) ? values[key] : undefined;
  const object = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
  values[key] = object;
  put(object, rest, value);
}

/**
 * Joins the variants of an earlier ablation to those of this one. A variant of that one keeps its settings, also if `--set`
 * is not typed again.
 * @throws ConfigError if a variant that was begun is to have other settings.
 */
export function joinVariants(
  chosen: readonly Variant[],
  { variants: earlier, rows }: Pick<EarlierAblation, 'variants' | 'rows'>,
  assignments: readonly Assignment[],
  folder: string,
): Variant[] {
  return chosen.map((variant) => {
    const before = earlier.find(({ name }) => name === variant.name);
    if (!before || JSON.stringify(before.values) === JSON.stringify(variant.values)) return variant;
    if (!assignments.some((each) => each.variant === variant.name)) return { ...before };
    if (!rows.some((row) => row.variant === variant.name && row.run !== null)) return variant;
    throw new ConfigError(
      `Cannot resume ${folder}: its ablation trained ${variant.name} with other settings (${truncate(before.change, 200)}); choose another --run, or another name for the variant`,
    );
  });
}
