/**
 * How a run's settings come together: a preset, then the config file, then the flags, each of which overrides what comes
 * before it.
 */
import { basename, resolve } from 'node:path';
import { ConfigError, truncate } from '../errors.js';
import { plural } from '../numbers.js';
import { rateText, scalingOf, WARMUP_FROM } from '../optim/schedule.js';
import { printable } from '../printable.js';
import { checkDevices, cpuNames, defaultDevices, gpusOf, shortName } from './devices.js';
import { withFrozenLayers } from './freeze.js';
import { NO_SOURCE } from './imagenet.js';
import { anySets, type ConfigLayer, deepFreeze, lastValue, mergeLayer, sets, valueAt } from './layers.js';
import { overfitNote, withOverfit } from './overfit.js';
import { OWN_LEVELS, PRESETS } from './presets.js';
import { checkConflicts, ineffectiveNotes, type Sources } from './rules.js';
import { CONFIG_SCHEMA, type Config, type PresetName } from './schema.js';
import { validate } from './validate.js';

export type { Config } from './schema.js';

/** What the machine has. The caller finds out, so that {@link resolveConfig} is pure. */
export interface Machine extends Sources {
  /** Short names of TensorFlow's devices, such as `CPU:0`. */
  devices: readonly string[];
  /** Whether the files of Fashion-MNIST are installed. */
  fashionMnist: boolean;
  /** The number of classes of a folder of images; undefined for other sources. */
  classesOf?: (source: string) => number | undefined;
  /** For the default name of the run. */
  now: Date;
}

/** The settings, and notes for the user about what was chosen for them, one sentence each. */
export interface Resolved {
  config: Config;
  /** Includes `idle`. */
  notes: readonly string[];
  /** Notes about settings that have no effect. */
  idle: readonly string[];
}

/** The table of the net before the machine is known. The settings may turn out to be invalid later. */
export function tableOf(layers: readonly ConfigLayer[]): unknown {
  const preset = lastValue(layers, 'preset');
  // `auto` chooses between mini and fashion, which have the same table.
  return lastValue(layers, 'net', 'table') ?? PRESETS[isPreset(preset) ? preset : 'mini'].net.table;
}

/** Short names of the devices that the layers name; empty if they name none, and one net needs no more than there are. */
export function devicesOf(layers: readonly ConfigLayer[]): string[] {
  const devices = lastValue(layers, 'devices');
  if (Array.isArray(devices)) return devices.map(shortName).filter((name) => typeof name === 'string');
  const replicas = replicasOf(layers);
  return replicas > 1 && serversIn(layers).servers.length === 0 ? cpuNames(2 * replicas) : [];
}

/** The number of replicas before the settings are valid. */
function replicasOf(layers: readonly ConfigLayer[]): number {
  const { success, data } = CONFIG_SCHEMA.shape.replicas.safeParse(lastValue(layers, 'replicas'));
  return success ? data : 1;
}

/** The images of a step of all replicas together. */
export function imagesPerStep({ batchSize, replicas }: Pick<Config, 'batchSize' | 'replicas'>): number {
  return batchSize * replicas;
}

/** The images of a step for people: `256 (2 pairs × 128)`. */
export function batchText(config: Pick<Config, 'batchSize' | 'replicas' | 'placement'>): string {
  const { batchSize, replicas, placement } = config;
  if (replicas === 1) return String(batchSize);
  return `${imagesPerStep(config)} (${replicas} ${placement === 'split' ? 'pairs' : 'nets'} × ${batchSize})`;
}

/** The servers that the layers name by `servers`, and where they reach this process. */
export function serversIn(layers: readonly ConfigLayer[]): { servers: string[]; coordinator?: string } {
  const [servers, coordinator] = [lastValue(layers, 'servers'), lastValue(layers, 'coordinator')];
  return {
    servers: Array.isArray(servers) ? servers.filter((name) => typeof name === 'string') : [],
    ...(typeof coordinator === 'string' && { coordinator }),
  };
}

/**
 * Composes the settings of a run.
 * @param layers what was requested, the weakest first: a config file, then the flags. The preset `auto` is `fashion` if
 * TensorFlow has two GPUs, otherwise `mini`.
 * @param needsData whether it is an error if nothing names the images; otherwise `data.source` is then ''.
 * @throws ConfigError, one sentence that names the flag, or the key and its file.
 */
export function resolveConfig(layers: readonly ConfigLayer[], machine: Machine, needsData = true): Resolved {
  const [preset, presetNote] = choosePreset(layers, machine);
  const placement = lastValue(layers, 'placement') ?? PRESETS[preset].placement;
  const [devices, devicesNote] = defaultDevices(placement, machine.devices, replicasOf(layers));
  const [source, sourceNote] = defaultSource(preset, machine);
  const base = {
    ...PRESETS[preset],
    data: { ...PRESETS[preset].data, source },
    devices,
    run: `${placement}-${preset}-${timestamp(machine.now)}`,
  };
  const merged = withOverfit(base, layers).reduce(mergeLayer, base as Record<string, unknown>);
  if (merged.preset === 'auto') merged.preset = preset;
  if (Array.isArray(merged.devices)) merged.devices = merged.devices.map(shortName);
  const classesNote = takeClasses(merged, layers, machine);
  takeScaling(merged);
  takeLevels(merged, layers, preset, machine);
  takeWarmup(merged, layers);
  takeUpright(merged, layers);
  takeWindow(merged);

  if (needsData && valueAt(merged, ['data', 'source']) === NO_SOURCE) {
    throw new ConfigError(
      `Cannot find the images of the preset ${preset}: the settings do not name their folder; name it with --data`,
    );
  }
  const config = withFrozenLayers(validate(merged, layers));
  checkDevices(config, machine.devices);
  checkRunName(config.run);
  checkConflicts(config);
  const idle = ineffectiveNotes(config, layers, base, machine);
  const notes = [
    presetNote,
    anySets(layers, 'devices') ? undefined : devicesNote,
    replicasNote(config),
    anySets(layers, 'data', 'source') ? undefined : sourceNote,
    classesNote,
    overfitNote(config),
    ...idle,
  ];
  return { config: deepFreeze(config), notes: notes.filter((note) => note !== undefined), idle };
}

/** What settings name about images if they are those of a run, or of `--print-config`. */
const WHOLE_DATA = ['resize', 'cropGroup', 'meanImage', 'colourNoise', 'onBadImage'];

/**
 * Photos that are not turned have no setting, as in runs of earlier versions, which turned none: such a run's settings mean
 * that too, whatever its preset says today.
 */
function takeUpright(merged: Record<string, unknown>, layers: readonly ConfigLayer[]): void {
  const last = layers.findLast(
    (layer) => WHOLE_DATA.every((key) => sets(layer, 'data', key)) || sets(layer, 'data', 'upright'),
  );
  const upright = last && !sets(last, 'data', 'upright') ? false : valueAt(merged, ['data', 'upright']);
  if (upright !== false || typeof merged.data !== 'object') return;
  const { upright: _, ...data } = merged.data as Record<string, unknown>;
  merged.data = data;
}

/** @throws ConfigError unless the name can be the name of one folder. */
export function checkRunName(run: string): void {
  const isPlain = run === printable(run) && !run.includes('\t');
  if (run.length > 0 && run.length <= 200 && isPlain && !/[/\\]|\.\.|^[.~-]/.test(run)) return;
  throw new ConfigError(
    `Cannot name the run ${truncate(JSON.stringify(run))}: expected the name of one folder, without / or \\ or .., not starting with . or - or ~; choose another --run`,
  );
}

function isPreset(name: unknown): name is PresetName {
  return typeof name === 'string' && Object.hasOwn(PRESETS, name);
}

function choosePreset(layers: readonly ConfigLayer[], machine: Machine): [PresetName, note?: string] {
  const asked = lastValue(layers, 'preset') ?? 'auto';
  if (isPreset(asked)) return [asked, `preset ${asked}`];
  if (asked !== 'auto') return ['mini']; // validate() refuses it
  const gpus = gpusOf(machine.devices).length;
  if (gpus >= 2) {
    return ['fashion', `preset fashion: there are ${gpus} GPUs; --preset mini trains a small net`];
  }
  const found = gpus === 1 ? 'one GPU, not two' : 'no GPU';
  return ['mini', `preset mini: there is ${found}, so the net is small; --preset fashion trains the whole net`];
}

/** The preset's data, or the embedded sample if the preset's files are not installed. */
function defaultSource(preset: PresetName, machine: Machine): [source: string, note?: string] {
  const { source } = PRESETS[preset].data;
  if (source !== 'fashion-mnist' || machine.fashionMnist) return [source];
  return [
    'embedded',
    'data embedded: a small sample, as Fashion-MNIST is not installed; `data fetch fashion-mnist` brings it',
  ];
}

/** Sets the net's number of classes to that of the data, unless a layer sets it. @returns a note about it. */
function takeClasses(
  merged: Record<string, unknown>,
  layers: readonly ConfigLayer[],
  machine: Machine,
): string | undefined {
  const source = valueAt(merged, ['data', 'source']);
  if (typeof source !== 'string' || source === NO_SOURCE || source.includes('\0')) return undefined;
  if (typeof merged.net !== 'object' || anySets(layers, 'net', 'classes')) return undefined;
  const classes = machine.classesOf?.(source);
  if (classes === undefined) return undefined;
  merged.net = { ...merged.net, classes };
  return `classes ${classes}: as many as the images in ${source} have`;
}

/**
 * Presets for Fashion-MNIST take the levels of other images, unless a layer says what is subtracted or multiplied. A single
 * level stands for all channels.
 */
function takeLevels(
  merged: Record<string, unknown>,
  layers: readonly ConfigLayer[],
  preset: PresetName,
  { hasFiles }: Machine,
): void {
  const data = merged.data as Record<string, unknown>;
  const [source, channels] = [valueAt(data, ['source']), valueAt(merged, ['net', 'inputChannels'])];
  if (typeof source !== 'string') return; // validate() refuses it
  const isSet = ['mean', 'scale', 'meanImage'].some((key) => anySets(layers, 'data', key));
  if (!isSet && !isFashion(source, hasFiles)) merged.data = { ...data, ...OWN_LEVELS[preset] };
  else if (typeof data.mean === 'number' && typeof channels === 'number' && channels <= 64) {
    merged.data = { ...data, mean: Array(channels).fill(data.mean) };
  }
}

/** Whether a source is Fashion-MNIST, or its files in a folder whose name says so. */
function isFashion(source: string, hasFiles: Machine['hasFiles']): boolean {
  if (source === 'embedded' || source === 'fashion-mnist' || source === NO_SOURCE) return true;
  return /fashion/i.test(basename(resolve(source))) && hasFiles?.(source) !== true;
}

/** Puts the number of replicas in the place of `optimizer.linearScaling` true, so that a resumed run keeps the factor. */
function takeScaling(merged: Record<string, unknown>): void {
  const optimizer = merged.optimizer as Record<string, unknown>;
  const asked = valueAt(optimizer, ['linearScaling']);
  if (typeof asked !== 'boolean') return;
  const { linearScaling: _, ...rest } = optimizer;
  merged.optimizer = asked && typeof merged.replicas === 'number' ? { ...rest, linearScaling: merged.replicas } : rest;
}

/**
 * Writes down with which share of the rate a warm-up begins, unless it begins with the rate without linear scaling. The
 * settings of a checkpoint stay as they are: in those of earlier versions, there was no other warm-up.
 */
function takeWarmup(merged: Record<string, unknown>, layers: readonly ConfigLayer[]): void {
  const source = layers.findLast((layer) => sets(layer, 'optimizer', 'warmupEpochs'));
  if (source?.file !== undefined && source.by === undefined) return;
  const optimizer = merged.optimizer as Record<string, unknown>;
  const [epochs, from, scaling] = ['warmupEpochs', 'warmupFrom', 'linearScaling'].map((key) =>
    valueAt(optimizer, [key]),
  );
  if (!epochs || from !== undefined || (typeof scaling === 'number' && scaling !== 1)) return;
  merged.optimizer = { ...optimizer, warmupFrom: WARMUP_FROM };
}

/** Images of a shuffle window: of 256 pixels and raw, they take 1.5 GiB. */
const SHUFFLE_WINDOW = 8192;

/** Writes down the size of a shuffle window. */
function takeWindow(merged: Record<string, unknown>): void {
  const data = merged.data as Record<string, unknown>;
  if (valueAt(data, ['shuffle']) !== 'window' || valueAt(data, ['shuffleWindow']) !== undefined) return;
  merged.data = { ...data, shuffleWindow: SHUFFLE_WINDOW };
}

/** Says which batch and rate several replicas have. */
function replicasNote(config: Config): string | undefined {
  const { replicas, optimizer } = config;
  if (replicas === 1) return undefined;
  const batch = `batch ${batchText(config)}`;
  const scaling = scalingOf(optimizer);
  const rate = rateText(optimizer.learningRate * scaling);
  if (scaling === 1) {
    return `${batch}, learning rate ${rate}: the same as for ${config.batchSize} images; --linear-scaling multiplies it by ${replicas}`;
  }
  const { warmupEpochs = 0 } = optimizer;
  const warmup = warmupEpochs > 0 ? `, from ${optimizer.learningRate} within ${plural(warmupEpochs, 'epoch')}` : '';
  return `${batch}, learning rate ${rate}: ${scaling} times ${optimizer.learningRate}${warmup}`;
}

/** `20260131-235959`, local time. */
export function timestamp(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('');
  return `${date}-${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('')}`;
}
