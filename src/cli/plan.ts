/** `plan`: predicts a training step on devices, links and replicas. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { cpuNames, defaultDevices } from '../config/devices.js';
import { type ConfigLayer, valueAt } from '../config/layers.js';
import { ConfigError } from '../errors.js';
import { limitOf } from '../plan/limit.js';
import { COORDINATOR, type Place, placesOf } from '../plan/places.js';
import { type Planned, planOf } from '../plan/plan.js';
import type { Plan } from '../plan/predict.js';
import type { Rates } from '../plan/rates.js';
import { assumedRates, ratesFrom } from '../plan/rates-file.js';
import { jsonText } from '../printable.js';
import { readJson } from '../read-json.js';
import { makeFolderOf } from '../safe-write.js';
import { explained } from './explain.js';
import { LOADING } from './machine.js';
import { planLines } from './plan-lines.js';
import { refuseWithoutData, rehearsalLines, rehearseRun } from './rehearse.js';
import { resolveNet } from './resolve-net.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

interface PlanOptions {
  linkGbps?: number;
  linkMs: number;
  rates?: string;
  gflops?: number;
  oneWeirdTrick?: boolean;
  seconds?: number;
  json?: boolean;
}

/** How long to measure with `--data`. */
const SECONDS = 60;

const NOT_TRAINED =
  'a training refuses --average collective with devices of servers: the plan says what it would bring';
/** More than the settings allow. */
const MOST_REPLICAS = 1000;
/** Far larger than the rates of a net. */
const RATES_LIMIT = 4 * 2 ** 20;

/**
 * Prints the prediction; with `--data` what a rehearsal on this machine says about the whole run.
 * @throws ConfigError for flags that mean nothing, alone or together; NativeError if the machine cannot be measured.
 */
export async function run({ flags, options }: Input<PlanOptions>, services: Services): Promise<number> {
  const { seconds, json = false } = options;
  refuseWithoutData(flags.values, seconds !== undefined);
  if (valueAt(flags.values, ['data', 'source']) === undefined) {
    const { planned, plan } = await predicted(flags, options, services);
    if (json) services.stdout.print(JSON.stringify(jsonOf(planned, plan)));
    else services.stdout.print(...planLines(planned, plan));
    return 0;
  }
  // What these name need not be here, so the step is predicted.
  const isPredicted = options.rates !== undefined || options.gflops !== undefined;
  let lines: string[] = [];
  let also = {};
  const predict = async () => {
    const { planned, plan } = await predicted(flags, options, services);
    lines = [...planLines(planned, plan), ''];
    also = jsonOf(planned, plan);
    const devices = planned.places[0]!.map(({ name }) => name);
    return { stepMs: plan.stepMs, images: plan.images, part: limitOf(plan).part, devices };
  };
  const layers = isPredicted ? [withoutPlaces(flags)] : [flags];
  const rehearsed = await rehearseRun(layers, seconds ?? SECONDS, services, isPredicted ? predict : undefined);
  if (typeof rehearsed === 'number') return rehearsed;
  const { config, found, outlook } = rehearsed;
  if (json) services.stdout.print(JSON.stringify({ ...also, config, measured: found, outlook }));
  else services.stdout.print(...lines, ...rehearsalLines(rehearsed));
  return 0;
}

/** The settings without where the towers are, which is planned. */
function withoutPlaces(flags: ConfigLayer): ConfigLayer {
  const { devices: _, replicas: __, average: ___, ...values } = flags.values;
  return { ...flags, values };
}

async function predicted(
  flags: ConfigLayer,
  options: PlanOptions,
  services: Services,
): Promise<{ planned: Planned; plan: Plan }> {
  const { linkGbps, linkMs, oneWeirdTrick = false } = options;
  const { devices: named, ...values } = flags.values as { devices?: readonly string[]; replicas?: unknown };
  // Those that are planned for may be elsewhere, so the settings get others.
  const inPlace = cpuNames(2 * Math.min(MOST_REPLICAS, Number(values.replicas) || 1));
  const { config, idle } = resolveNet({ ...flags, values }, inPlace, services.now());
  const { replicas } = config;
  services.stderr.print(...idle);
  const read = readRates(options, services.now());
  const devices = named ?? (await usualDevices(config, read, services));
  const places = placesOf(devices, replicas, config.placement === 'split' ? 2 : 1);
  const all = places.flat();
  const machines = new Set(all.map(({ machine }) => machine));
  const isOneMachine = machines.size === 1 && machines.has(COORDINATOR);
  checkTogether(config, options, all, isOneMachine);
  const rates = read ?? (await measured(config, all[0]!, options.rates, services));
  if (rates.device !== all[0]!.type) {
    throw new ConfigError(
      `Cannot plan for ${all[0]!.name} with rates of a ${rates.device}: expected rates of a ${all[0]!.type}; choose others with --rates or --gflops`,
    );
  }
  if (config.average === 'collective' && replicas > 1 && !isOneMachine) services.stderr.print(NOT_TRAINED);
  const link = isOneMachine ? undefined : { gbps: linkGbps!, roundTripMs: linkMs };
  const planned: Planned = { config, replicas, places, link, splitDense: oneWeirdTrick, rates };
  return { planned, plan: planOf(planned) };
}

/** @throws ConfigError for flags that contradict each other, or lack one. */
function checkTogether(config: Config, options: PlanOptions, places: readonly Place[], isOneMachine: boolean): void {
  const types = [...new Set(places.map(({ type }) => type))];
  if (types.length > 1) {
    throw new ConfigError(
      `Cannot plan for ${types.join(' and ')} together: expected devices of one kind; choose with --devices`,
    );
  }
  if (options.oneWeirdTrick && config.placement !== 'single') {
    throw new ConfigError(
      'Cannot split only the dense layers with --placement split: expected the whole net on each device; add --placement single',
    );
  }
  if (isOneMachine || options.linkGbps !== undefined) return;
  throw new ConfigError(
    'Cannot plan for several machines without the rate of their network, expected a number of Gbit/s; add --link-gbps 10, for example',
  );
}

/** The rates of the flags; undefined if the machine has to be measured. */
function readRates({ rates: file, gflops }: PlanOptions, now: Date): Rates | undefined {
  if (gflops !== undefined) return assumedRates(gflops, now);
  if (file === undefined || !existsSync(file)) return undefined;
  const value = explained(`read ${file}`, 'name another file with --rates, or remove it to measure again', () =>
    readJson(file, { limit: RATES_LIMIT }),
  );
  return ratesFrom(value, file);
}

/** The devices when none are named: those of the rates, or this machine's. */
async function usualDevices(
  { placement }: Config,
  rates: Rates | undefined,
  services: Services,
): Promise<readonly string[]> {
  if (rates) return [`${rates.device}:0`, `${rates.device}:1`].slice(0, placement === 'split' ? 2 : 1);
  announce(services, LOADING);
  return defaultDevices(
    placement,
    (await services.listDevices()).map(({ name }) => name),
  )[0];
}

/** Measures this machine. @throws SplitError if the file cannot be written. */
async function measured(config: Config, { type }: Place, file: string | undefined, services: Services): Promise<Rates> {
  if (file !== undefined) write(file, ''); // fails now rather than after the measurement
  try {
    announce(services, 'measuring this machine for some seconds');
    const { calibrate } = await services.loadPlan();
    const rates = await calibrate(config, type);
    if (file !== undefined) write(file, `${jsonText(rates, 1)}\n`);
    return rates;
  } catch (error) {
    if (file !== undefined) rmSync(file, { force: true });
    throw error;
  }
}

function write(file: string, text: string): void {
  explained(`write ${file}`, 'choose another file with --rates', () => {
    makeFolderOf(file);
    writeFileSync(file, text);
  });
}

function jsonOf({ config, replicas, places, link, splitDense, rates }: Planned, plan: Plan): object {
  const { net, batchSize, placement, exchange } = config;
  const { layers: _, ...origin } = rates;
  return {
    ...{ net, batchSize, placement, exchange, replicas, link: link ?? null, oneWeirdTrick: splitDense },
    devices: places.map((towers) => towers.map(({ name, machine }) => ({ name, machine }))),
    ...{ rates: origin, plan: { ...plan, limit: limitOf(plan) } },
  };
}
