/** `data check` and `data prepare`: check and prepare folders of images before a training. Load no TensorFlow. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PRESETS } from '../config/presets.js';
import {
  type CheckReport,
  checkImages,
  describeEndings,
  type FileDataset,
  keepStatistics,
  listImages,
  openClassFolders,
  openImages,
  progressNotes,
  remarksOnStored,
  retryRead,
  type Selection,
  type SetReport,
  type ShardReport,
  type Statistics,
  splitAdvice,
  statisticsOf,
  tryPacking,
} from '../data/index.js';
import { ConfigError } from '../errors.js';
import { usableCores } from '../limits.js';
import { cacheFolder } from '../native/install/library.js';
import { count, plural } from '../numbers.js';
import { jsonText } from '../printable.js';
import { assertFileWritable, makeFolderOf } from '../safe-write.js';
import { type PackFlags, pack, storedOf } from './data-pack.js';
import { explained } from './explain.js';
import { oneLine } from './format.js';
import type { Input, Services } from './services.js';

/** How many unreadable images are printed; the report has all. */
const PRINTED = 20;

interface CheckOptions {
  resize: number;
  report: string;
  valShare?: number;
  seed?: number;
  json?: boolean;
}

/**
 * Reads every image and writes a report.
 * Of class folders without test images, all images are training images, unless `valShare` takes some.
 * @returns 1 if an image cannot be read or a shard is damaged, else 0.
 * @throws DataError if the folder is not a data set.
 */
export async function dataCheck(
  { argument: folder, options }: Input<CheckOptions, string>,
  services: Services,
): Promise<number> {
  const { resize, report: file, json } = options;
  const checkOptions = { resize, concurrency: usableCores(), progress: printProgress('checked', services) };
  const selection = selectionOf(options);
  const { valShare, seed } = selection;
  const open = () => {
    const choice = valShare === undefined ? undefined : { valShare, seed };
    return openClassFolders(folder, choice)?.dataset ?? openImages(folder);
  };
  const dataset = await retryRead(folder, open);
  refuseIdleShare(folder, dataset, selection);
  const writing = [`write the report ${file}`, 'choose another --report'] as const;
  explained(...writing, () => assertFileWritable(file)); // fails now rather than after a million images
  const report = await checkImages(dataset, checkOptions);
  const text = jsonText(report, 2);
  services.stdout.print(...(json ? text.split('\n') : checkLines(report)));
  explained(...writing, () => {
    makeFolderOf(file);
    writeFileSync(file, `${text}\n`);
  });
  if (!json) services.stdout.print(`report in ${file}`);
  const damaged = report.shards?.damaged.length ?? 0;
  return report.train.unreadable.length + report.val.unreadable.length + damaged > 0 ? 1 : 0;
}

function checkLines(report: CheckReport): string[] {
  const byEnding = describeEndings(Object.entries(report.passedOver));
  const which = byEnding && ` (${byEnding})`;
  const ignored = report.ignored > 0 ? `; ${count(report.ignored)} other files ignored${which}` : '';
  return [
    `${report.source}: ${count(report.classes)} classes${ignored}`,
    ...report.remarks,
    ...classLines(report.perClass, report.val.images > 0),
    ...setLines('train', report.train),
    ...(report.val.images > 0 ? setLines('val', report.val) : [`val: there is none: ${splitAdvice(report.source)}`]),
    ...listOf('not read', report.otherImages),
    ...listOf(
      'left out when it was packed',
      (report.leftOut ?? []).map(({ path, reason }) => `${path}: ${oneLine(reason)}`),
    ),
    ...(report.shards ? shardLines(report.source, report.shards) : []),
  ];
}

function shardLines(source: string, { compared, withoutHash, damaged }: ShardReport): string[] {
  const unknown = withoutHash > 0 ? `; ${count(withoutHash)} of an earlier version, which have no hash` : '';
  return [
    `shards: ${count(compared)} compared with their hashes, ${count(damaged.length)} damaged${unknown}`,
    ...listOf('damaged', damaged),
    ...(damaged.length > 0
      ? [`  remove the damaged files from ${source}, and run the same \`data prepare\` again: it makes these again`]
      : []),
  ];
}

/** More classes are summed up. */
const LISTED_CLASSES = 20;

/** How many images each class has, or of many classes the fewest and the most. */
function classLines(perClass: CheckReport['perClass'], hasVal: boolean): string[] {
  const classes = Object.entries(perClass);
  const text = ({ train, val }: { train: number; val: number }) =>
    hasVal ? `${count(train)} train, ${count(val)} val` : count(train);
  if (classes.length <= LISTED_CLASSES) return classes.map(([name, counts]) => `  ${name}: ${text(counts)}`);
  const sorted = [...classes].sort(([, a], [, b]) => a.train - b.train);
  const [few, many] = [sorted[0]!, sorted.at(-1)!];
  return [`  fewest images in ${few[0]}: ${text(few[1])}; most in ${many[0]}: ${text(many[1])}`];
}

function listOf(what: string, paths: readonly string[]): string[] {
  const more = paths.length - PRINTED;
  return [
    ...paths.slice(0, PRINTED).map((path) => `  ${what}: ${path}`),
    ...(more > 0 ? [`  and ${count(more)} more in the report`] : []),
  ];
}

function setLines(name: string, set: SetReport): string[] {
  const kinds = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([kind, images]) => `${kind} ${count(images)}`)
      .join(', ');
  const misnamed = set.misnamed > 0 ? `; ${count(set.misnamed)} named as another format` : '';
  const turned = set.turned > 0 ? `; ${count(set.turned)} to be turned by EXIF, which --upright does` : '';
  const sides = `sides of ${set.shortestSide} to ${set.longestSide} pixels`;
  const unreadable = set.unreadable.slice(0, PRINTED).map(({ path, reason }) => `  ${path}: ${oneLine(reason)}`);
  const more = set.unreadable.length - unreadable.length;
  return [
    `${name}: ${plural(set.images, 'image')}, ${count(set.unreadable.length)} unreadable, ${count(Math.ceil(set.bytes / 2 ** 20))} MiB`,
    ...(set.longestSide > 0 ? [`  ${kinds(set.formats)}${misnamed}${turned}; ${kinds(set.spaces)}; ${sides}`] : []),
    ...unreadable,
    ...(more > 0 ? [`  and ${count(more)} more in the report`] : []),
  ];
}

interface PrepareOptions extends PackFlags {
  valShare?: number;
  seed?: number;
}

/**
 * Packs the images if `pack` names a folder, and computes the statistics of the training images: of those that are packed if
 * they are stored in one size.
 * @throws DataError if the folder or its images cannot be used.
 */
export async function dataPrepare(
  { argument: folder, options }: Input<PrepareOptions, string>,
  services: Services,
): Promise<number> {
  const { resize = 256, pack: out, interpolation, upright, onBadImage } = options;
  const decoding = { interpolation, ...(upright && { upright }) };
  const stored = storedOf(options, resize);
  const { stdout, stderr } = services;
  const selection = selectionOf(options);
  const open = async () => openImages(folder, { ...selection, listed: await listImages(folder, selection) });
  const dataset = await retryRead(folder, open);
  refuseIdleShare(folder, dataset, selection);
  stderr.print(...(dataset.remarks ?? []).map((remark) => `${folder}: ${remark}`));
  const { stored: found } = dataset;
  if (found) stderr.print(...remarksOnStored(folder, found, resize, decoding).map((text) => `${folder}: ${text}`));
  if (out !== undefined) tryPacking(dataset, out);
  const statistics = (of: FileDataset) =>
    statisticsOf(of, {
      ...{ resize, ...decoding, channels: 3, onBadImage, everyFile: true },
      get cache() {
        return join(cacheFolder(), 'data');
      },
      ...{ concurrency: usableCores(), progress: printProgress('mean image', services) },
      // With --pack they are saved beside the images.
      ...(out !== undefined && { warn: (message: string) => stderr.print(message) }),
    });
  // Before files are packed unchanged, because this finds out which images cannot be read.
  const ofFolder = stored ? undefined : await statistics(dataset);
  if (out !== undefined) await pack(dataset, out, { ...options, stored }, services);
  const packed = out === undefined ? dataset : openImages(out);
  const computed = ofFolder ?? (await statistics(packed));
  if (out !== undefined) await keepStatistics(packed, computed, decoding);
  stdout.print(...statisticsLines(computed));
  return 0;
}

/** Which images are test images, as `train` has it. */
export function selectionOf({ valShare, seed = PRESETS.mini.seed }: { valShare?: number; seed?: number }): Selection {
  return { valShare, seed };
}

/** @throws ConfigError if a share was given for data that has test images of its own. */
function refuseIdleShare(folder: string, dataset: FileDataset, { valShare }: Selection): void {
  if (valShare === undefined || dataset.valShare !== undefined) return;
  throw new ConfigError(
    `Cannot use --val-share: it has no effect with ${folder}, which has test images of its own; leave it out`,
  );
}

function statisticsLines({ images, resize, mean, colours }: Statistics): string[] {
  const channels = [0, 1, 2].map((c) => {
    const sum = mean.reduce((total, value, i) => (i % 3 === c ? total + value : total), 0);
    return (sum / (mean.length / 3)).toFixed(2);
  });
  return [
    `mean image of ${count(images)} training images at ${resize} pixels: red ${channels[0]}, green ${channels[1]}, blue ${channels[2]}`,
    ...colours.deviations.map((deviation, k) => {
      const direction = colours.directions[k as 0 | 1 | 2].map((part) => part.toFixed(4)).join(', ');
      return `colours: standard deviation ${deviation.toFixed(4)} along (${direction})`;
    }),
  ];
}

function printProgress(what: string, { stderr }: Services): (done: number, total: number) => void {
  return progressNotes(what, (text) => stderr.print(text));
}
