/** `data check` and `data prepare`: check and prepare folders of images before a training. Load no TensorFlow. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CheckReport,
  checkImages,
  describeEndings,
  keepStatistics,
  openImages,
  packImages,
  progressNotes,
  retryRead,
  type SetReport,
  type Statistics,
  statisticsOf,
  tryPacking,
} from '../data/index.js';
import { ConfigError } from '../errors.js';
import { usableCores } from '../limits.js';
import { cacheFolder } from '../native/install/library.js';
import { count } from '../numbers.js';
import { jsonText } from '../printable.js';
import { assertFileWritable } from '../safe-write.js';
import { explained } from './explain.js';
import { oneLine } from './format.js';
import type { Input, Services } from './services.js';

/** How many unreadable images are printed; the report has all. */
const PRINTED = 20;

/**
 * Reads every image and writes a report.
 * @returns 1 if an image cannot be read, else 0.
 * @throws DataError if the folder is not a data set.
 */
export async function dataCheck(
  { argument: folder, options }: Input<{ resize: number; report: string; json?: boolean }, string>,
  services: Services,
): Promise<number> {
  const { resize, report: file, json } = options;
  const checkOptions = { resize, concurrency: usableCores(), progress: printProgress('checked', services) };
  const dataset = await retryRead(folder, () => openImages(folder));
  const writing = [`write the report ${file}`, 'choose another --report'] as const;
  explained(...writing, () => assertFileWritable(file)); // fails now rather than after a million images
  const report = await checkImages(dataset, checkOptions);
  const text = jsonText(report, 2);
  services.stdout.print(...(json ? text.split('\n') : checkLines(report)));
  explained(...writing, () => writeFileSync(file, `${text}\n`));
  if (!json) services.stdout.print(`report in ${file}`);
  return report.train.unreadable.length + report.val.unreadable.length > 0 ? 1 : 0;
}

function checkLines(report: CheckReport): string[] {
  const byEnding = describeEndings(Object.entries(report.passedOver));
  const which = byEnding && ` (${byEnding})`;
  const ignored = report.ignored > 0 ? `; ${count(report.ignored)} other files ignored${which}` : '';
  return [
    `${report.source}: ${count(report.classes)} classes${ignored}`,
    ...report.remarks,
    ...setLines('train', report.train),
    ...setLines('val', report.val),
  ];
}

function setLines(name: string, set: SetReport): string[] {
  const kinds = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([kind, images]) => `${kind} ${count(images)}`)
      .join(', ');
  const misnamed = set.misnamed > 0 ? `; ${count(set.misnamed)} named as another format` : '';
  const sides = `sides of ${set.shortestSide} to ${set.longestSide} pixels`;
  const unreadable = set.unreadable.slice(0, PRINTED).map(({ path, reason }) => `  ${path}: ${oneLine(reason)}`);
  const more = set.unreadable.length - unreadable.length;
  return [
    `${name}: ${count(set.images)} images, ${count(set.unreadable.length)} unreadable, ${count(Math.ceil(set.bytes / 2 ** 20))} MiB`,
    ...(set.longestSide > 0 ? [`  ${kinds(set.formats)}${misnamed}; ${kinds(set.spaces)}; ${sides}`] : []),
    ...unreadable,
    ...(more > 0 ? [`  and ${count(more)} more in the report`] : []),
  ];
}

interface PrepareOptions {
  resize: number;
  pack?: string;
  /** MiB. */
  shardSize?: number;
  onBadImage: 'fail' | 'skip';
}

/**
 * Packs the images if `pack` names a folder, and computes the statistics of the training images.
 * @throws DataError if the folder or its images cannot be used.
 */
export async function dataPrepare(
  { argument: folder, options }: Input<PrepareOptions, string>,
  services: Services,
): Promise<number> {
  const { resize, pack, shardSize = 512, onBadImage } = options;
  if (pack === undefined && options.shardSize !== undefined) {
    throw new ConfigError('Cannot use --shard-size: it has no effect without --pack; leave it out, or add --pack');
  }
  const { stdout, stderr } = services;
  const dataset = await retryRead(folder, () => openImages(folder));
  stderr.print(...(dataset.remarks ?? []).map((remark) => `${folder}: ${remark}`));
  if (pack !== undefined) tryPacking(dataset, pack);
  // Before the packing, because this finds out whether they can be saved, and which images cannot be read.
  const statistics = await statisticsOf(dataset, {
    ...{ resize, channels: 3, onBadImage },
    get cache() {
      return join(cacheFolder(), 'data');
    },
    ...{ concurrency: usableCores(), progress: printProgress('mean image', services) },
    // With --pack they are saved beside the images.
    ...(pack !== undefined && { warn: (message: string) => stderr.print(message) }),
  });
  if (pack !== undefined) {
    const packing = { out: pack, shardBytes: shardSize * 2 ** 20, progress: printProgress('packed', services) };
    const { images, shards, kept } = await packImages(dataset, packing);
    const before = kept > 0 ? `, ${count(kept)} of them by an earlier run` : '';
    stdout.print(
      `${pack}: ${count(images)} images in ${count(shards)} shards${before}; train on it with --data ${pack}`,
    );
    await keepStatistics(openImages(pack), statistics);
  }
  stdout.print(...statisticsLines(statistics));
  return 0;
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
