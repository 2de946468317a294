/** `ablate`: trains nets with one thing changed, with the same seeds and length, and compares them in a table. */
import { existsSync } from 'node:fs';
import { type Config, type Machine, resolveConfig } from '../config/config.js';
import { anySets, type ConfigLayer } from '../config/layers.js';
import { nonFiniteAsStrings } from '../log.js';
import { makeFolders } from '../safe-write.js';
import { BASELINE, type Variant, variantsOf } from '../train/ablate.js';
import { withBestData } from './ablate-data.js';
import { planLines } from './ablate-estimate.js';
import { type Assignment, chooseVariants, joinVariants, type Seeds, seedList } from './ablate-options.js';
import { trainRows } from './ablate-train.js';
import { typicalDeviationIn } from './ablate-typical.js';
import {
  ABLATION_VERSION,
  type Ablation,
  type AblationRow,
  type EarlierAblation,
  earlierAblation,
  isAblation,
  isBegun,
  isDone,
  settingsOf,
} from './ablation.js';
import { noteLines, seedText, tableLines, writeAblation } from './ablation-page.js';
import { measureSpeed } from './ablation-speed.js';
import { statisticsOf } from './ablation-statistics.js';
import type { DisplayMode } from './display.js';
import { explained } from './explain.js';
import { gpuWarning, resolveHere } from './machine.js';
import { printConfig } from './print-config.js';
import { checkName, makeNumbered, runFolder } from './run-folder.js';
import { lockNow, lockRun } from './run-lock.js';
import type { Input, Services } from './services.js';
import { viewNotes } from './train.js';

export interface AblateOptions extends DisplayMode {
  /** Names of variants; all if absent. */
  variants?: readonly string[];
  /** The former name of `variants`. */
  only?: readonly string[];
  /** Absent: the seeds of the ablation that is resumed, or one. */
  seeds?: Seeds;
  set?: readonly Assignment[];
  /** A level of the training error, from 0 to 1. */
  untilError?: number;
  /** Measures the speed of the variants after the trainings. */
  speed?: boolean;
  printConfig?: boolean;
}

/** An evaluation that no training gets to: there is one at the end in any case. */
const ONLY_AT_THE_END = 1_000_000_000;

/**
 * Trains the baseline and its variants with each seed, each as a run in the ablation's folder, and writes `ablation.json` and
 * `ablation.md` there after each. With the `--run` of an interrupted ablation it trains what is missing, and resumes a
 * training from its last checkpoint.
 * @returns the exit code: 1 if a training failed, the signal's if one was stopped.
 * @throws ConfigError for invalid settings or names, and if another process uses the folder; also the errors of a training
 * that cannot start.
 */
export async function run(
  {
    layers,
    options: {
      variants: typed,
      only = typed,
      seeds,
      set = [],
      untilError: level,
      speed,
      printConfig: isPrinted,
      ...mode
    },
  }: Input<AblateOptions>,
  services: Services,
): Promise<number> {
  if (isPrinted) return printConfig(services, layers);
  const here = await resolveHere(services, layers, mode);
  const { machine } = here;
  const { config: resolved, notes } = withBestData(here, layers);
  const warning = await gpuWarning(services, machine, layers);
  if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
  const isNamed = anySets(layers, 'run');
  const ownName = resolved.run.replace(/^(split|single)-/, 'ablate-');
  const named = isNamed ? resolved : Object.freeze({ ...resolved, run: ownName });
  if (!isNamed || !isAblation(runFolder(named))) {
    chooseVariants(resolved, only, set); // a wrong name is refused before a folder that is taken
    checkName(named, isNamed);
  }
  // Locked before the rows are read, because another process that ablates there writes new ones.
  let lock = isNamed && existsSync(runFolder(named)) ? await lockRun(runFolder(named)) : undefined;
  try {
    const earlier = isNamed ? earlierAblation(runFolder(named), settingsOf(named)) : undefined;
    const asked = askedTrainings({ layers, config: named, only, seeds, set, earlier });
    const chosen = keptVariants(asked.variants, named, earlier);
    const { rows, left } = rowsOf(chosen, asked, earlier);
    const configsIn = (folder: string) => {
      const configOf = createConfigs(named, layers, machine, folder);
      const checked = new Set(rows.filter(isDone).map(({ variant }) => variant));
      return rows.map((row) => {
        const { variant, seed } = row;
        const isFirst = left.has(row) && !checked.has(variant);
        if (isFirst) checked.add(variant);
        return configOf(chosen.find(({ name }) => name === variant)!, seed, isFirst);
      });
    };
    const untilError = level ?? earlier?.untilError;
    configsIn(runFolder(named)); // finds every invalid config before the first training
    const config = isNamed ? named : makeNumbered(named);
    const folder = runFolder(config);
    const ablation: Ablation = {
      version: ABLATION_VERSION,
      settings: earlier?.settings ?? settingsOf({ ...config, seed: rows[0]!.seed }),
      variants: chosen.map(({ name, change, values }) => ({ name, change, values: { ...values } })),
      ...(untilError !== undefined && { untilError }),
      ...(earlier?.speed && { speed: earlier.speed }),
      rows,
      missing: only ? [] : variantsOf(resolved).missing,
      statistics: statisticsOf(rows, untilError),
    };
    explained(`make the folder ${folder}`, 'choose another --out', () => makeFolders(folder));
    lock ??= lockNow(folder);
    if (lock.warning !== undefined) services.stderr.print(`warning: ${lock.warning}`);
    writeAblation(folder, ablation); // now, so that it can be resumed if the process is killed
    const typical = () => typicalDeviationIn(named.out, ablation.settings);
    // With --json stdout has the result only.
    const forRuns = mode.json ? { ...services, stdout: services.stderr } : services;
    forRuns.stdout.print(...notes, ...viewNotes(layers, mode, services), ...planLines(ablation, left, typical));
    const configs = configsIn(folder);
    // Before the trainings, after which this process may hold memory of the devices.
    if (speed) {
      const ofVariants = chosen.map(({ name }) => rows.findIndex(({ variant }) => variant === name));
      const compared = ofVariants.map((i) => ({ variant: rows[i]!.variant, config: configs[i]! }));
      ablation.speed = await measureSpeed(compared, forRuns);
      writeAblation(folder, ablation);
    }
    const exitCode = await trainRows(ablation, { configs, left }, folder, mode, forRuns);
    services.stdout.print(
      ...(mode.json
        ? [JSON.stringify(nonFiniteAsStrings(ablation))]
        : ['', ...tableLines(ablation), '', ...noteLines(ablation), ...lastLines(ablation, left, config)]),
    );
    return exitCode;
  } finally {
    lock?.release();
  }
}

/** What is to be trained: every variant, after the baseline, with every seed. */
interface Asked {
  variants: readonly Variant[];
  seeds: readonly number[];
}

function askedTrainings({
  layers,
  config,
  only,
  seeds,
  set,
  earlier,
}: {
  layers: readonly ConfigLayer[];
  config: Config;
  only: readonly string[] | undefined;
  seeds: Seeds | undefined;
  set: readonly Assignment[];
  earlier: EarlierAblation | undefined;
}): Asked {
  const before = [...new Set(earlier?.rows.map(({ seed }) => seed))].sort((a, b) => a - b);
  const isAgain = seeds === undefined && !anySets(layers, 'seed') && before.length > 0;
  const chosen = chooseVariants(config, only, set, earlier?.variants);
  const variants = joinVariants(chosen, earlier ?? { variants: [], rows: [] }, set, runFolder(config));
  return { variants, seeds: isAgain ? before : seedList(seeds ?? 1, config.seed) };
}

/** The baseline, the variants that are to be trained, and those that an earlier command of that ablation has begun. */
function keptVariants(asked: readonly Variant[], config: Config, earlier: EarlierAblation | undefined): Variant[] {
  const begun = new Set(earlier?.rows.filter(isBegun).map(({ variant }) => variant));
  const isIn = (variants: readonly Variant[], name: string) => variants.some((each) => each.name === name);
  const isKept = ({ name }: Variant) => name !== BASELINE.name && !isIn(asked, name) && begun.has(name);
  const { variants: known } = variantsOf(config);
  const before: readonly Variant[] = earlier?.variants ?? [];
  const kept = [...before, ...known.filter(({ name }) => !isIn(before, name))].filter(isKept);
  const all = [...asked, ...kept];
  const ordered = known.flatMap(({ name }) => all.find((each) => each.name === name) ?? []);
  return [BASELINE, ...ordered, ...all.filter(({ name }) => !isIn(known, name))];
}

/**
 * The trainings in their order: all variants with one seed, then with the next, so that there are pairs early.
 * @returns all, also those that an earlier command began and this one does not ask for; `left` are to be trained now.
 */
function rowsOf(chosen: readonly Variant[], asked: Asked, earlier: EarlierAblation | undefined) {
  const before = earlier?.rows ?? [];
  const seeds = [...new Set([...asked.seeds, ...before.filter(isBegun).map(({ seed }) => seed)])].sort((a, b) => a - b);
  const isAsked = ({ name }: Variant, seed: number) =>
    asked.seeds.includes(seed) && (name === BASELINE.name || asked.variants.some((each) => each.name === name));
  const left = new Set<AblationRow>();
  const rows = seeds.flatMap((seed) =>
    chosen.flatMap((variant): AblationRow[] => {
      const row = before.find((each) => each.variant === variant.name && each.seed === seed);
      const { name, change } = variant;
      if (isAsked(variant, seed) && !(row && isDone(row))) {
        const own = { variant: name, change, seed, run: row?.run ?? null, result: null };
        left.add(own);
        return [own];
      }
      return row && isBegun(row) ? [{ ...row, change }] : [];
    }),
  );
  return { rows, left };
}

/**
 * Returns a function that gives a training's settings. They have one evaluation at the end unless the user asks for more, and
 * a check against the reference only for the first seed of a variant.
 * @throws (the function) ConfigError for settings of `--set` that are invalid.
 */
function createConfigs(config: Config, layers: readonly ConfigLayer[], machine: Machine, out: string) {
  const evalEvery = anySets(layers, 'evalEvery') ? config.evalEvery : ONLY_AT_THE_END;
  return ({ name, values }: Variant, seed: number, isFirst: boolean): Config => {
    const cheap = { evalEvery, check: config.check && isFirst };
    const change: ConfigLayer = { values, file: `the variant ${name}` };
    const own = { seed, out, run: `${name}-seed${seed}` };
    return resolveConfig([{ values: { ...config, ...cheap } }, change, { values: own }], machine).config;
  };
}

/** Where the ablation is, and how to finish it. */
function lastLines({ rows, missing }: Ablation, asked: ReadonlySet<AblationRow>, config: Config): string[] {
  const named = (some: readonly AblationRow[]) => some.map(({ variant, seed }) => `${variant}-seed${seed}`).join(', ');
  const now = rows.filter((row) => asked.has(row));
  const failed = named(now.filter(({ result }) => result?.status === 'failed'));
  const left = named(now.filter((row) => !isDone(row) && row.result?.status !== 'failed'));
  const others = named(rows.filter((row) => !isDone(row) && !asked.has(row)));
  return [
    ...missing.map(({ name, reason }) => `left out: ${name} (${reason})`),
    `ablation of ${seedText(rows)} in ${runFolder(config)}/ablation.md`,
    ...(failed === '' ? [] : [`failed: ${failed}; the command with --run ${config.run} tries again`]),
    ...(left === '' ? [] : [`not done: ${left}; repeat the command with --run ${config.run} to finish`]),
    ...(others === ''
      ? []
      : [
          `begun by an earlier command and not done: ${others}; to finish, name these variants and seeds with --run ${config.run}`,
        ]),
  ];
}
