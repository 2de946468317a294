/** Another framework's file of the whole net as the weights of a run. */
import { join } from 'node:path';
import { openTensors, type TensorFile, writeTensors } from '../checkpoint/safetensors.js';
import { weightsName } from '../checkpoint/weights-files.js';
import { CheckpointError, truncate } from '../errors.js';
import { type Net, type Parameter, parametersOf, type TowerIndex, volume } from '../model/net.js';
import { parseJson } from '../read-json.js';
import { DESCRIPTION, type ImageKnowledge, MEAN_IMAGE } from './description.js';
import { matchNames } from './names.js';
import { channelsLast, type Portable, portablesOf, separate } from './portable.js';

/** A file that has every tensor of a net, and no other but an exported run's mean image. */
export interface ImportSource {
  /** The joined tensors, and what each is in the file: its name and its shape there. */
  tensors: readonly { portable: Portable; name: string; shape: readonly number[] }[];
  /** What stood before the names in the file, and is no part of them: `model.`; '' is nothing. */
  leftOut: string;
  /** Fills `values` with those of one parameter. */
  read(parameter: Parameter, values: Float32Array): void;
  /** What an exported file knows of the run's images; nothing of another's, or where it does not fit the net. */
  images(): ImageKnowledge;
  close(): void;
}

/** In which order the first layer reads colours; ours is `rgb`, Caffe's `bgr`. */
export type ChannelOrder = 'rgb' | 'bgr';

/** Half floats are exact in float32; float64 would be rounded in silence. */
const OPTIONS = { advice: 'take a safetensors file of float32', dtypes: ['F32', 'F16', 'BF16'] } as const;
const ADVICE = 'choose the net with --preset, --net, --width, --input-size and --classes';
/** Longer lists are cut: a file of another net has nothing that fits. */
const MOST_NAMED = 12;

/**
 * Opens a file and finds the net's tensors in it.
 * @throws CheckpointError that names what is missing, what the net has not, and what is of another shape.
 */
export function openImport(file: string, net: Net, order: ChannelOrder): ImportSource {
  const source = openTensors(file, OPTIONS);
  try {
    const { tensors, leftOut } = matchAll(file, net, source);
    const first = tensors[0]?.portable.name; // the kernel that reads the image
    return {
      tensors,
      leftOut,
      read: ({ name }, values) => {
        const found = tensors.find(({ portable }) => portable.parts.some(({ parameter }) => parameter.name === name));
        const { portable, name: theirs, shape } = found!;
        const joined = source.read(theirs, shape);
        if (order === 'bgr' && portable.name === first) reverseInputs(portable, joined);
        const part = portable.parts.find(({ parameter }) => parameter.name === name)!;
        separate(portable, part, joined, values);
      },
      images: () => imagesIn(source, net),
      close: source.close,
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/**
 * Writes the weights files of a run into its folder.
 * @param towers two of a split run, one of a run on one device.
 * @throws CheckpointError when the disk does not take them.
 */
export function writeRun(
  source: Pick<ImportSource, 'read'>,
  net: Net,
  folder: string,
  towers: 1 | 2,
  metadata: Readonly<Record<string, string>>,
): void {
  for (let i = 0; i < towers; i++) {
    const tower = towers === 1 ? undefined : (i as TowerIndex);
    const parameters = parametersOf(net, tower);
    const file = join(folder, weightsName(i, towers));
    writeTensors(file, parameters, { ...metadata, part: String(tower ?? 'whole') }, ({ name }, bytes) => {
      const parameter = parameters.find((each) => each.name === name)!;
      source.read(parameter, new Float32Array(bytes.buffer, bytes.byteOffset, volume(parameter.shape)));
    });
  }
}

/**
 * The settings that an exported file brings with it, for `resolveConfig` to check; none of another's file.
 * @throws CheckpointError for a file that is none, or of a later version.
 */
export function settingsIn(file: string): Record<string, unknown> | undefined {
  const source = openTensors(file, OPTIONS);
  source.close();
  const text = source.metadata[DESCRIPTION];
  if (text === undefined) return undefined;
  const { version, settings } = parsed(text);
  if (version === 1) return ownSettings(settings);
  throw new CheckpointError(
    `Cannot import ${file}: its description is of version ${truncate(`${JSON.stringify(version)}`)}, expected 1; export it again with this version of alexnet-split`,
    file,
  );
}

/** Those that make the net and prepare its images: a file is not to say where its run goes, or which data it reads. */
function ownSettings(settings: unknown): Record<string, unknown> {
  const { preset, net, data } = (settings ?? {}) as Record<string, unknown>;
  const { source: _, workers: __, ...images } = (data ?? {}) as Record<string, unknown>;
  return Object.fromEntries(Object.entries({ preset, net, data: images }).filter(([, value]) => value !== undefined));
}

function imagesIn(source: TensorFile, net: Net): ImageKnowledge {
  const { classes, statistics } = parsed(source.metadata[DESCRIPTION] ?? '{}');
  const isNamed = Array.isArray(classes) && classes.length === net.options.classes;
  const shape = source.entries.find(({ name }) => name === MEAN_IMAGE)?.shape ?? [];
  const [channels = 0, resize = 0, width = 0] = shape;
  const isImage = shape.length === 3 && resize === width && (channels === 1 || channels === net.options.inputChannels);
  return {
    ...(isNamed && classes.every((name) => typeof name === 'string') && { classes }),
    ...(isImage &&
      typeof statistics === 'object' && {
        statistics: { ...statistics, resize, channels, mean: channelsLast(source.read(MEAN_IMAGE, shape), channels) },
      }),
  };
}

function parsed(text: string): Record<string, unknown> {
  try {
    return (parseJson(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function matchAll(
  file: string,
  net: Net,
  { entries, metadata }: TensorFile,
): Pick<ImportSource, 'tensors' | 'leftOut'> {
  const portables = portablesOf(net);
  const { names, unexpected, leftOut, nets } = matchNames(
    net,
    portables,
    entries.map(({ name }) => name).filter((name) => name !== MEAN_IMAGE || metadata[DESCRIPTION] === undefined),
  );
  if (nets.length > 0) {
    throw new CheckpointError(
      `Cannot import ${file}: it holds ${nets.length} nets (${nets.map((name) => truncate(name)).join(' and ')} are the same tensor of each), expected one; write a file that has the tensors of one of them`,
      file,
    );
  }
  const shapeOf = (name: string) => entries.find((each) => each.name === name)!.shape;
  const missing = portables.filter((each) => !names.has(each)).map(({ name }) => name);
  const wrong = [...names].flatMap(([portable, name]) =>
    String(trimmed(shapeOf(name), portable.shape.length)) === String(portable.shape)
      ? []
      : [`${truncate(name)} is [${truncate(String(shapeOf(name)))}] and [${portable.shape}] in the net`],
  );
  const found = [
    ...listed('the file lacks', missing),
    ...listed('the net has no', unexpected),
    ...listed('of another shape:', wrong),
  ];
  if (found.length > 0) {
    throw new CheckpointError(
      `Cannot import ${file} into the net ${net.options.table}: ${found.join('; ')}; ${ADVICE}`,
      file,
    );
  }
  const tensors = portables.map((portable) => {
    const name = names.get(portable)!;
    return { portable, name, shape: shapeOf(name) };
  });
  return { tensors, leftOut };
}

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  return [
    `${what} ${names
      .slice(0, MOST_NAMED)
      .map((name) => truncate(name, 200))
      .join(', ')}${more}`,
  ];
}

/** Old Caffe's tensors all have four dimensions: ones at the front are left out, down to `length`. */
function trimmed(shape: readonly number[], length: number): readonly number[] {
  const ones = shape.slice(0, Math.max(0, shape.length - length));
  return ones.every((size) => size === 1) ? shape.slice(ones.length) : shape;
}

/** Turns the order of a kernel's inputs round, in place. */
function reverseInputs({ inputs, window }: Portable, values: Float32Array): void {
  const step = inputs * window;
  for (let at = 0; at < values.length; at += step) {
    const kernel = values.slice(at, at + step);
    for (let i = 0; i < inputs; i++) {
      values.set(kernel.subarray(i * window, (i + 1) * window), at + (inputs - 1 - i) * window);
    }
  }
}
