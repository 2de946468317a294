/** Another framework's file of the whole net as the weights of a run. */
import { join } from 'node:path';
import { openTensors, type TensorFile, writeTensors } from '../checkpoint/safetensors.js';
import { weightsNames } from '../checkpoint/weights-files.js';
import { CheckpointError, truncate } from '../errors.js';
import { buildNet, headOf, type Net, type Parameter, parametersOf, type TowerIndex, volume } from '../model/net.js';
import { TABLES } from '../model/tables.js';
import { tryParseJson } from '../read-json.js';
import { DESCRIPTION, type ImageKnowledge, MEAN_IMAGE } from './export.js';
import { matchNames } from './names.js';
import { channelsLast, type Portable, portablesOf, separate } from './portable.js';

/** The order of colours that the first layer reads; ours is `rgb`, Caffe's `bgr`. */
export type ChannelOrder = 'rgb' | 'bgr';

/** float64 is not accepted, because it would be rounded without a message. */
const OPTIONS = { advice: 'choose a safetensors file of float32', dtypes: ['F32', 'F16', 'BF16'] } as const;
const ADVICE = 'choose the net with --preset, --net, --width, --input-size and --classes';
/** How many names a message lists: a file of another net may have thousands that do not fit. */
const MAX_LISTED = 12;

/**
 * Opens a file that has exactly the tensors of a net; an exported one may also have a mean image.
 * @param options `withHead`: whether the last layer has to be that of the net; otherwise it must not be read. `advice`: the
 * end of the error message.
 * @throws CheckpointError that lists the tensors that are missing, unknown, or of another shape.
 */
export function openImport(file: string, net: Net, order: ChannelOrder, { withHead = true, advice = ADVICE } = {}) {
  const source = openTensors(file, OPTIONS);
  try {
    const { tensors, leftOut } = matchTensors(file, net, source, { withHead, advice });
    const first = tensors[0]?.portable.name; // the kernel that reads the image
    return {
      /** The joined tensors, each with its name and shape in the file. */
      tensors,
      /** The prefix that was removed from the file's names (`model.`), or ''. */
      leftOut,
      /** Fills `values` with those of one parameter. */
      read: (parameter: Parameter, values: Float32Array) => {
        const isOwn = (part: Portable['parts'][number]) => part.parameter.name === parameter.name;
        const { portable, name, shape } = tensors.find((each) => each.portable.parts.some(isOwn))!;
        const joined = source.read(name, shape);
        if (order === 'bgr' && portable.name === first) reverseInputs(portable, joined);
        separate(portable, portable.parts.find(isOwn)!, joined, values);
      },
      /** What an exported file knows of the run's images, if it fits the net; nothing for other files. */
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
 * @param towers two files for a split run, one for a run on one device.
 * @throws CheckpointError if the write fails.
 */
export function writeRun(
  source: Pick<ReturnType<typeof openImport>, 'read'>,
  net: Net,
  folder: string,
  towers: 1 | 2,
  metadata: Readonly<Record<string, string>>,
): void {
  for (const [i, name] of weightsNames(towers).entries()) {
    const tower = towers === 1 ? undefined : (i as TowerIndex);
    const parameters = parametersOf(net, tower);
    writeTensors(join(folder, name), parameters, { ...metadata, part: String(tower ?? 'whole') }, (entry, bytes) => {
      const parameter = parameters.find((each) => each.name === entry.name)!;
      source.read(parameter, new Float32Array(bytes.buffer, bytes.byteOffset, volume(parameter.shape)));
    });
  }
}

/**
 * The settings in an exported file, not yet validated; undefined for other files. They make the net and prepare its
 * images: a file must not choose where its run goes, or which data it reads.
 * @throws CheckpointError if the file is not valid, or of a later version.
 */
export function settingsIn(file: string): Record<string, unknown> | undefined {
  const source = openTensors(file, OPTIONS);
  source.close();
  const text = source.metadata[DESCRIPTION];
  if (text === undefined) return undefined;
  const { version, settings } = parseDescription(text);
  if (version !== 1) {
    throw new CheckpointError(
      `Cannot import ${file}: its description is of version ${truncate(`${JSON.stringify(version)}`)}, expected 1; export it again with this version of alexnet-split`,
      file,
    );
  }
  const { preset, net, data } = (settings ?? {}) as Record<string, unknown>;
  const { source: _, workers: __, ...images } = (data ?? {}) as Record<string, unknown>;
  return Object.fromEntries(Object.entries({ preset, net, data: images }).filter(([, value]) => value !== undefined));
}

/**
 * Whether a file has the tensors of torchvision's AlexNet and no others, by their names and shapes.
 * @returns its number of classes; undefined if it is another file.
 * @throws CheckpointError if the file is not valid.
 */
export function torchvisionClasses(file: string): number | undefined {
  const source = openTensors(file, OPTIONS);
  source.close();
  const shapes = new Map(source.entries.map(({ name, shape }) => [name, shape]));
  const { inputSize, inputChannels, classes } = TABLES.torchvision;
  const options = { table: 'torchvision', width: 1, inputSize, inputChannels, init: 'table', dropout: true } as const;
  const portables = (classes: number) => portablesOf(buildNet({ ...options, classes }));
  const { names, unexpected, nets } = matchNames(buildNet({ ...options, classes }), portables(classes), [
    ...shapes.keys(),
  ]);
  const found = new Map([...names].map(([{ name }, own]) => [name, shapes.get(own)]));
  const own = Number(found.get('fc8.bias')?.[0]);
  if (unexpected.length > 0 || nets.length > 0 || !(own >= 2)) return undefined;
  return portables(own).every(({ name, shape }) => String(shape) === String(found.get(name))) ? own : undefined;
}

function imagesIn(source: TensorFile, net: Net): ImageKnowledge {
  const { classes, statistics } = parseDescription(source.metadata[DESCRIPTION] ?? '{}');
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

function parseDescription(text: string): Record<string, unknown> {
  return (tryParseJson(text) ?? {}) as Record<string, unknown>;
}

function matchTensors(
  file: string,
  net: Net,
  { entries, metadata }: TensorFile,
  { withHead, advice }: { withHead: boolean; advice: string },
) {
  const portables = portablesOf(net);
  const head = headOf(net).name;
  const isNeeded = ({ layer }: Portable) => withHead || layer !== head;
  const shapes = new Map(entries.map(({ name, shape }) => [name, shape]));
  if (metadata[DESCRIPTION] !== undefined) shapes.delete(MEAN_IMAGE);
  const { names, unexpected, leftOut, nets } = matchNames(net, portables, [...shapes.keys()]);
  if (nets.length > 0) {
    throw new CheckpointError(
      `Cannot import ${file}: it holds ${nets.length} nets (${nets.map((name) => truncate(name)).join(' and ')} are the same tensor of each), expected one; write a file that has the tensors of one of them`,
      file,
    );
  }
  const tensors = portables.flatMap((portable) => {
    const name = names.get(portable);
    return name === undefined ? [] : [{ portable, name, shape: shapes.get(name)! }];
  });
  const problems = [
    ['the file lacks', portables.filter((each) => isNeeded(each) && !names.has(each)).map(({ name }) => name)],
    ['the net has no', unexpected],
    [
      'of another shape:',
      tensors
        .filter(({ portable }) => isNeeded(portable))
        .filter(({ portable, shape }) => String(trimmed(shape, portable.shape.length)) !== String(portable.shape))
        .map(
          (each) =>
            `${truncate(each.name)} is [${truncate(String(each.shape))}] and [${each.portable.shape}] in the net`,
        ),
    ],
  ] as const;
  const found = problems.filter(([, names]) => names.length > 0).map(([what, names]) => `${what} ${listed(names)}`);
  if (found.length > 0) {
    throw new CheckpointError(
      `Cannot import ${file} into the net ${net.options.table}: ${found.join('; ')}; ${advice}`,
      file,
    );
  }
  return { tensors, leftOut };
}

function listed(names: readonly string[]): string {
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : '';
  const first = names.slice(0, MAX_LISTED).map((name) => truncate(name, 200));
  return `${first.join(', ')}${more}`;
}

/** Old Caffe gives every tensor four dimensions: removes ones at the front, down to `length` dimensions. */
function trimmed(shape: readonly number[], length: number): readonly number[] {
  const ones = shape.slice(0, Math.max(0, shape.length - length));
  return ones.every((size) => size === 1) ? shape.slice(ones.length) : shape;
}

/** Reverses the order of a kernel's inputs, in place. */
function reverseInputs({ inputs, window }: Portable, values: Float32Array): void {
  const step = inputs * window;
  for (let at = 0; at < values.length; at += step) {
    const kernel = values.slice(at, at + step);
    for (let i = 0; i < inputs; i++) {
      values.set(kernel.subarray(i * window, (i + 1) * window), at + (inputs - 1 - i) * window);
    }
  }
}
