/** Checks whether images can be read, before a training. */

import { DataError } from '../errors.js';
import type { UnreadableImage } from './batches/unreadable.js';
import { openDecoder, readHeader } from './images/decode.js';
import { forEachImage, type Progress } from './images/each-image.js';
import type { FileDataset, IgnoredFiles, ImageFiles } from './sets/dataset.js';
import { nameAt } from './sets/names.js';
import { checkShards, type ShardReport } from './shards/check-shards.js';

/** The report on one part. */
export interface SetReport {
  images: number;
  /** Total size of the files, including those that do not decode. */
  bytes: number;
  /** Number of files of each format, by their content. */
  formats: Record<string, number>;
  /** Number of files of each colour space, as libvips names it: `srgb`, `b-w`, `cmyk`, … */
  spaces: Record<string, number>;
  /** Number of files whose ending belongs to another format than their content. */
  misnamed: number;
  /** Number of files that EXIF says to turn or mirror, which `data.upright` does. */
  turned: number;
  shortestSide: number;
  longestSide: number;
  unreadable: UnreadableImage[];
}

export interface CheckReport {
  source: string;
  classes: number;
  /** Number of images by class and part. */
  perClass: Record<string, { train: number; val: number }>;
  ignored: number;
  passedOver: IgnoredFiles;
  /** Paths of images in a format that is not decoded, such as HEIC. */
  otherImages: readonly string[];
  remarks: readonly string[];
  /** Images that were left out when the data set was packed. */
  leftOut?: readonly UnreadableImage[];
  /** Of a packed data set. */
  shards?: ShardReport;
  train: SetReport;
  val: SetReport;
}

/**
 * Decodes every image and reports which ones do not decode, and which shards are not as they were written.
 * @param resize the size that images are decoded to; those that are stored in one size keep it.
 * @throws SystemError for a system fault that lasts.
 */
export async function checkImages(
  dataset: FileDataset,
  { resize, concurrency, progress }: { resize: number; concurrency: number; progress?: Progress },
): Promise<CheckReport> {
  const { source, folder, classNames, ignored, passedOver = {}, otherImages = [], remarks = [] } = dataset;
  const { train, test, stored, leftOut } = dataset;
  const decode = await openDecoder(stored?.size ?? resize, 3, stored, stored);
  let done = 0;

  async function checkPart(files: ImageFiles): Promise<SetReport> {
    const report: SetReport = {
      ...{ images: files.count, bytes: 0, formats: {}, spaces: {}, misnamed: 0, turned: 0 },
      ...{ shortestSide: Number.POSITIVE_INFINITY, longestSide: 0, unreadable: [] },
    };
    const reasons = new Map<number, string>();
    const options = { action: 'check the images', concurrency };
    await forEachImage(folder, files, options, async (index, reader) => {
      const checked = await reader.read(index, async (bytes) => {
        const decoded = await decode(bytes);
        const size = bytes.length;
        if ('reason' in decoded) return { size, reason: decoded.reason };
        return { size, header: stored?.kind === 'raw' ? rawHeader(stored.size) : await readHeader(bytes) };
      });
      if ('size' in checked) report.bytes += checked.size;
      if ('header' in checked) {
        addHeader(report, checked.header);
        if (!stored && isMisnamed(nameAt(files.names, index), checked.header)) report.misnamed++;
      } else reasons.set(index, checked.reason);
      progress?.(++done, train.count + test.count);
    });
    const sorted = [...reasons].sort(([a], [b]) => a - b);
    report.unreadable = sorted.map(([index, reason]) => ({ path: nameAt(files.names, index), reason }));
    if (report.longestSide === 0) report.shortestSide = 0;
    return report;
  }

  const [trained, tested] = [train, test].map((files) => countLabels(files, classNames.length));
  const perClass = classNames.map((name, i) => [name, { train: trained![i]!, val: tested![i]! }] as const);
  const shards = await checkShards(dataset);
  return {
    ...{ source, classes: classNames.length, perClass: Object.fromEntries(perClass) },
    ...{ ignored, passedOver, otherImages, remarks },
    ...(leftOut && { leftOut: leftOut.map(({ path, reason }) => ({ path, reason })) }),
    ...(shards && { shards }),
    train: await checkPart(train),
    val: await checkPart(test),
  };
}

function countLabels({ labels }: ImageFiles, classes: number): number[] {
  const counts: number[] = Array(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

/** Formats by ending; all other endings are JPEG's. */
const FORMATS: Record<string, string> = { png: 'png', gif: 'gif', webp: 'webp' };

type Header = Awaited<ReturnType<typeof readHeader>>;

function rawHeader(size: number): Header {
  return { format: 'raw', space: 'srgb', width: size, height: size, orientation: 1 };
}

function isMisnamed(path: string, { format }: Header): boolean {
  return (FORMATS[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? 'jpeg') !== format;
}

function addHeader(report: SetReport, { format, space, width, height, orientation }: Header): void {
  report.formats[format] = (report.formats[format] ?? 0) + 1;
  report.spaces[space] = (report.spaces[space] ?? 0) + 1;
  if (orientation > 1) report.turned++;
  report.shortestSide = Math.min(report.shortestSide, width, height);
  report.longestSide = Math.max(report.longestSide, width, height);
}

/**
 * Makes sure that a test image can be read: a training that skips unreadable images would notice only after an epoch.
 * @throws DataError if there is none, or the signal is aborted.
 */
export async function requireTestImage(
  { folder, test, stored }: FileDataset,
  { resize, channels, signal }: { resize: number; channels: 1 | 3; signal?: AbortSignal | undefined },
): Promise<void> {
  const decode = await openDecoder(resize, channels, {}, stored);
  let isFound = false;
  let example = '';
  const options = { action: 'read a test image', concurrency: 1, signal };
  await forEachImage(folder, test, options, async (index, reader) => {
    const decoded = await reader.read(index, decode);
    isFound = 'pixels' in decoded;
    if ('reason' in decoded && index === 0) example = ` (the first, ${nameAt(test.names, 0)}: ${decoded.reason})`;
    return isFound ? 'stop' : undefined;
  });
  if (isFound) return;
  throw new DataError(
    `Cannot evaluate on the images of ${folder}: none of the ${test.count} test images can be read${example}, expected at least one; \`data check\` lists why`,
  );
}
