/** `data check` and `data prepare`: folders of images, before a training. Load no TensorFlow. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CheckReport,
  checkImages,
  endings,
  keepStatistics,
  notesOfProgress,
  openImages,
  packImages,
  patiently,
  type SetReport,
  type Statistics,
  statisticsOf,
  tryPacking,
} from '../data/index.js';
import { ConfigError, SplitError } from '../errors.js';
import { usableCores } from '../limits.js';
import { cacheFolder } from '../native/install/library.js';
import { jsonText } from '../printable.js';
import { assertFileWritable } from '../safe-write.js';
import { count, oneLine } from './format.js';
import type { Services } from './services.js';

/** Unreadable images that are printed; the report has them all. */
const PRINTED = 20;

/**
 * Reads every image and writes a report.
 * @returns 1 when an image cannot be read, else 0.
 * @throws DataError for a folder that is no data set.
 */
export async function dataCheck(
  folder: string,
  { resize, report: file, json }: { resize: number; report: string; json?: boolean },
  services: Services,
): Promise<number> {
  checkWhole('--resize', resize, 4096);
  const options = { resize, atOnce: usableCores(), progress: noting('checked', services) };
  const dataset = await patiently(
    () => folder,
    () => openImages(folder),
  );
  reporting(file, () => assertFileWritable(file)); // better told now than after a million images
  const report = await checkImages(dataset, options);
  const text = jsonText(report, 2);
  for (const line of json ? text.split('\n') : checkLines(report)) services.stdout.write(`${line}\n`);
  reporting(file, () => writeFileSync(file, `${text}\n`));
  if (!json) services.stdout.write(`report in ${file}\n`);
  return report.train.unreadable.length + report.val.unreadable.length > 0 ? 1 : 0;
}

function reporting(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new SplitError(`Cannot write the report ${file}: ${(error as Error).message}; choose another --report`, {
      cause: error,
    });
  }
}

function checkLines(report: CheckReport): string[] {
  const byEnding = endings(Object.entries(report.passedOver));
  const which = byEnding && ` (${byEnding})`;
  const ignored = report.ignored > 0 ? `; ${count(report.ignored)} other files passed over${which}` : '';
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
  const bad = set.unreadable.slice(0, PRINTED).map(({ path, reason }) => `  ${path}: ${oneLine(reason)}`);
  const more = set.unreadable.length - bad.length;
  return [
    `${name}: ${count(set.images)} images, ${count(set.unreadable.length)} unreadable, ${count(Math.ceil(set.bytes / 2 ** 20))} MiB`,
    ...(set.longestSide > 0
      ? [
          `  ${kinds(set.formats)}${misnamed}; ${kinds(set.spaces)}; sides of ${set.shortestSide} to ${set.longestSide} pixels`,
        ]
      : []),
    ...bad,
    ...(more > 0 ? [`  and ${count(more)} more in the report`] : []),
  ];
}

/**
 * Packs the images when that is asked for, and computes what a training needs of all of them.
 * @throws DataError for images or a folder that do not serve.
 */
export async function dataPrepare(
  folder: string,
  flags: { resize: number; pack?: string; shardSize: number; onBadImage: 'fail' | 'skip' },
  services: Services,
): Promise<number> {
  const { resize, pack, shardSize, onBadImage } = flags;
  checkWhole('--resize', resize, 4096);
  checkWhole('--shard-size', shardSize, 65_536);
  const print = (line: string) => services.stdout.write(`${line}\n`);
  const dataset = await patiently(
    () => folder,
    () => openImages(folder),
  );
  for (const remark of dataset.remarks ?? []) services.stderr.write(`${folder}: ${remark}\n`);
  if (pack !== undefined) tryPacking(dataset, pack);
  // First, for it finds out whether it can be kept, and which images cannot be read.
  const statistics = await statisticsOf(dataset, {
    ...{ resize, channels: 3, onBadImage },
    get cache() {
      return join(cacheFolder(), 'data');
    },
    ...{ atOnce: usableCores(), progress: noting('mean image', services) },
    // With --pack they are kept beside the images.
    ...(pack !== undefined && { warn: (message: string) => services.stderr.write(`${message}\n`) }),
  });
  if (pack !== undefined) {
    const options = { out: pack, shardBytes: shardSize * 2 ** 20, progress: noting('packed', services) };
    const { images, shards, kept } = await packImages(dataset, options);
    const before = kept > 0 ? `, ${count(kept)} of them by an earlier run` : '';
    print(`${pack}: ${count(images)} images in ${count(shards)} shards${before}; train on it with --data ${pack}`);
    await keepStatistics(openImages(pack), statistics);
  }
  for (const line of statisticsLines(statistics)) print(line);
  return 0;
}

function statisticsLines({ images, resize, mean, colours }: Statistics): string[] {
  const channels = [0, 1, 2].map((c) => {
    let sum = 0;
    for (let i = c; i < mean.length; i += 3) sum += mean[i]!;
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

function noting(what: string, { stderr }: Services): (done: number, total: number) => void {
  return notesOfProgress(what, (text) => stderr.write(`${text}\n`));
}

function checkWhole(flag: string, value: unknown, most: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most) return;
  throw new ConfigError(`${flag} is ${JSON.stringify(value)}, expected a whole number from 1 to ${most}`);
}
