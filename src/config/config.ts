/**
 * A run's settings: what they are, and how they come together. Defaults and preset, then the config file, then the
 * flags: each beats what stands before it.
 */
import { ConfigError, truncate } from '../errors.js';
import type { NetOptions } from '../model/net.js';
import type { OptimizerOptions } from '../optim/schedule.js';
import { printable } from '../printable.js';
import { checkDevices, defaultDevices, gpusOf, shortName } from './devices.js';
import { NO_SOURCE } from './imagenet.js';
import { ineffective } from './ineffective.js';
import { deepFreeze, type Layer, mergeLayer, sets, valueAt } from './layers.js';
import { PRESETS } from './presets.js';
import type { PLACEMENTS, PRESET_NAMES } from './schema.js';
import { checkTogether } from './together.js';
import { validate } from './validate.js';

export type Placement = (typeof PLACEMENTS)[number];
export type PresetName = (typeof PRESET_NAMES)[number];

export interface DataConfig {
  /** `embedded`, `fashion-mnist` (found where it is installed), or a folder; a preset's may be left to the user. */
  readonly source: string;
  /** Height and width in pixels that an image is brought to before the crop to the net's input. */
  readonly resize: number;
  readonly randomCrop: boolean;
  readonly flip: boolean;
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** Grey levels (0 to 255) taken off, one a channel. */
  readonly mean: readonly number[];
  /** Whether the mean of the training images is taken off, pixel by pixel, in place of `mean`. */
  readonly meanImage: boolean;
  /** Noise along the principal components of the images' colours. */
  readonly colourNoise: {
    /** Factor on the components' standard deviations; 0 is no noise. */
    readonly strength: number;
    /** The first epoch, counted from 1, without it; null is never. */
    readonly end: number | null;
    /** Whether an image with noise is then divided by 1 + `strength`. */
    readonly divide: boolean;
    /** ImageNet's components, or those of the training images. */
    readonly colours: 'imagenet' | 'data';
  };
  /** Images that follow one another in a batch and share one draw of crop and flip; 1 is each its own. */
  readonly cropGroup: number;
  /** Factor on what is left. */
  readonly scale: number;
  /** What happens when an image file cannot be read: the run fails, or goes on without it. */
  readonly onBadImage: 'fail' | 'skip';
  readonly workers: number;
}

/** A run's settings, complete, valid and frozen. */
export interface Config {
  readonly preset: PresetName;
  readonly placement: Placement;
  /** Tower 0's and tower 1's for `split` (the same one twice is allowed); `single` uses the first. */
  readonly devices: readonly string[];
  readonly net: Readonly<NetOptions>;
  readonly optimizer: OptimizerOptions;
  readonly data: DataConfig;
  /** Images a step, all towers together. */
  readonly batchSize: number;
  readonly epochs: number;
  /** The run's length in steps; null leaves it to `epochs`. */
  readonly steps: number | null;
  readonly seed: number;
  /** Steps from one printed line to the next. */
  readonly logEvery: number;
  /** Steps from one evaluation to the next; 0 is at the end of each epoch. */
  readonly evalEvery: number;
  /** Steps from one checkpoint to the next, or minutes as `10m`; with 0 there is one at the end only. */
  readonly checkpointEvery: number | string;
  /** How many of the newest checkpoints stay, beside the one with the best evaluation. */
  readonly keep: number;
  /** Name of the run; its folder is `<out>/<run>`. */
  readonly run: string;
  readonly out: string;
  /** What weights it starts from: a run by name or by path, or a file of the whole net; null starts from `net.init`. */
  readonly weights: string | null;
  /** How halves cross. `device` falls back to `msgpack` when its self-test fails. */
  readonly exchange: {
    readonly transport: 'msgpack' | 'device';
    /** How `msgpack` writes values. */
    readonly dtype: 'float32' | 'float16';
    /** Whether every message of `msgpack` has a checksum of its values; those of the check before a run always do. */
    readonly checksum: boolean;
  };
  readonly exchangeTimeoutMs: number;
  /** How a step runs: `on` as one TensorFlow function, `off` op by op, `xla` as one of XLA's, with `single` alone. */
  readonly compile: 'on' | 'off' | 'xla';
  /** `auto`: large convolutions by Winograd's algorithm, where that is faster; `direct`: none. */
  readonly convolutions: 'auto' | 'direct';
  /** Whether a short comparison with the reference comes before the first step. */
  readonly check: boolean;
  /** A fault to inject, for tests. */
  readonly fault: string | null;
}

/** A preset: everything but what depends on the machine and the moment. */
export type Preset = Omit<Config, 'devices' | 'run'>;

/** What the machine has; the caller looks, so that {@link resolveConfig} is pure. */
export interface Machine {
  /** Short names of the devices that TensorFlow has, `CPU:0`. */
  devices: readonly string[];
  /** Whether Fashion-MNIST's files are here. */
  fashionMnist: boolean;
  /** The classes of a source that says itself how many it has: a folder of images. */
  classesOf?: (source: string) => number | undefined;
  /** Whether a source's images are a file each; nothing of a source that is not there. */
  hasFiles?: (source: string) => boolean | undefined;
  /** For the default name of the run. */
  now: Date;
}

/** The settings, and the decisions among them that a user should hear of, one sentence each. */
export interface Resolved {
  config: Config;
  /** Those in `idle` are among them. */
  notes: readonly string[];
  /** Of settings that do nothing. */
  idle: readonly string[];
}

/** The table of the net that the layers mean, before the machine is known; they may yet be found to make no run. */
export function tableOf(layers: readonly Layer[]): unknown {
  const given = layers.findLast((layer) => sets(layer, 'net', 'table'));
  if (given) return valueAt(given.values, ['net', 'table']);
  const preset = last(layers, 'preset');
  // The presets that `auto` chooses among have the same.
  return PRESETS[Object.hasOwn(PRESETS, preset as string) ? (preset as PresetName) : 'mini'].net.table;
}

/** The devices that the layers name, by their short names; none where nobody names any. */
export function devicesOf(layers: readonly Layer[]): string[] {
  const asked = last(layers, 'devices');
  return Array.isArray(asked) ? asked.map(shortName).filter((name) => typeof name === 'string') : [];
}

/**
 * Composes the settings of a run.
 * @param layers what was asked for, the weakest first: a config file, then the flags. A layer's `preset` may be `auto`:
 * `fashion` where TensorFlow has two GPUs, `mini` elsewhere.
 * @param needsData whether it is an error that nothing says where the images are; where it is none, `data.source` is ''.
 * @throws ConfigError, one sentence that names the flag or the key and its file, for whatever makes no run.
 */
export function resolveConfig(layers: readonly Layer[], machine: Machine, needsData = true): Resolved {
  const [preset, presetNote] = choosePreset(layers, machine);
  const placement = last(layers, 'placement') ?? PRESETS[preset].placement;
  const [devices, devicesNote] = defaultDevices(placement, machine.devices);
  const [source, sourceNote] = defaultSource(preset, machine);
  const base = {
    ...PRESETS[preset],
    data: { ...PRESETS[preset].data, source },
    devices,
    run: `${placement}-${preset}-${timestamp(machine.now)}`,
  };
  const merged = layers.reduce(mergeLayer, base as Record<string, unknown>);
  if (merged.preset === 'auto') merged.preset = preset;
  if (Array.isArray(merged.devices)) merged.devices = merged.devices.map(shortName);
  const classesNote = takeClasses(merged, layers, machine);

  if (needsData) checkSource(merged, preset);
  const config = validate(merged, layers);
  checkDevices(config, machine.devices);
  checkRunName(config.run);
  checkTogether(config);
  const idle = ineffective(config, layers, base, machine);
  return {
    config: deepFreeze(config),
    notes: [
      presetNote,
      ...(devicesNote && !layers.some((layer) => sets(layer, 'devices')) ? [devicesNote] : []),
      ...(sourceNote && !layers.some((layer) => sets(layer, 'data', 'source')) ? [sourceNote] : []),
      ...(classesNote ? [classesNote] : []),
      ...idle,
    ],
    idle,
  };
}

/** @throws ConfigError for a name that is no single folder's. */
export function checkRunName(run: string): void {
  const isPlain = run === printable(run) && !run.includes('\t');
  if (run.length > 0 && run.length <= 200 && isPlain && !/[/\\]|\.\.|^[.~-]/.test(run)) return;
  throw new ConfigError(
    `Cannot name the run ${truncate(JSON.stringify(run))}: expected the name of one folder, without / or \\ or .., not starting with . or - or ~; choose another --run`,
  );
}

function choosePreset(layers: readonly Layer[], machine: Machine): [PresetName, string] {
  const asked = last(layers, 'preset') ?? 'auto';
  if (typeof asked === 'string' && Object.hasOwn(PRESETS, asked)) return [asked as PresetName, `preset ${asked}`];
  if (asked !== 'auto') return ['mini', '']; // the validation refuses it, and says where it stands
  const gpus = gpusOf(machine.devices).length;
  if (gpus >= 2) {
    return [
      'fashion',
      `preset fashion: ${gpus} GPUs are here, so it is the whole net; --preset mini trains a small one`,
    ];
  }
  const here = gpus === 1 ? 'one GPU here, not two' : 'no two GPUs here';
  return ['mini', `preset mini: ${here}, so the net is narrower and smaller; --preset fashion trains the whole net`];
}

/** The preset's data; the embedded sample where the preset wants the files and they are not here. */
function defaultSource(preset: PresetName, machine: Machine): [string, string?] {
  const { source } = PRESETS[preset].data;
  if (source !== 'fashion-mnist' || machine.fashionMnist) return [source];
  return [
    'embedded',
    'data embedded: the Fashion-MNIST files are not here, so it is the small sample; --data names a folder',
  ];
}

function checkSource(merged: Record<string, unknown>, preset: PresetName): void {
  if (valueAt(merged, ['data', 'source']) !== NO_SOURCE) return;
  throw new ConfigError(
    `Cannot tell where the images of the preset ${preset} are: nothing names them, expected a folder; name it with --data`,
  );
}

/** The net has the data's number of classes, where the data says one and nobody else does. @returns the note of it. */
function takeClasses(merged: Record<string, unknown>, layers: readonly Layer[], machine: Machine): string | undefined {
  const source = valueAt(merged, ['data', 'source']);
  const isSet = layers.some((layer) => sets(layer, 'net', 'classes'));
  if (typeof source !== 'string' || source === NO_SOURCE || source.includes('\0')) return undefined;
  if (typeof merged.net !== 'object' || isSet) return undefined;
  const classes = machine.classesOf?.(source);
  if (classes === undefined) return undefined;
  merged.net = { ...(merged.net as object), classes };
  return `classes ${classes}: those of the images in ${source}`;
}

/** The strongest layer's value of a top-level key. */
function last(layers: readonly Layer[], key: string): unknown {
  return layers.findLast((layer) => sets(layer, key))?.values[key];
}

/** `20260131-235959`, local time. */
export function timestamp(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}
