/** Reads every image of a data set beforehand, as a training would, and reports what it found. */
import { join } from 'node:path';
import { forEachIndex } from './at-once.js';
import type { Unreadable } from './batches/bad-images.js';
import { kindOf, openDecoder } from './images/decode.js';
import { type FileDataset, type ImageFiles, openReader } from './images/reader.js';
import { patiently } from './images/retry.js';
import type { Progress } from './progress.js';
import { nameAt } from './sets/names.js';
import type { PassedOver } from './sets/walk.js';

/** What is known of one set. */
export interface SetReport {
  images: number;
  /** Of the files, those that cannot be decoded included. */
  bytes: number;
  /** How many files are of each format, by their content. */
  formats: Record<string, number>;
  /** How many are of each colour space, as libvips names it: `srgb`, `b-w`, `cmyk`, … */
  spaces: Record<string, number>;
  /** Files whose names say another format than their content is. */
  misnamed: number;
  /** Pixels of the shortest and the longest side of all. */
  shortestSide: number;
  longestSide: number;
  /** In the order of the set. */
  unreadable: Unreadable[];
}

export interface CheckReport {
  source: string;
  classes: number;
  /** Files in the class folders whose names are no images', in all and by ending. */
  ignored: number;
  passedOver: PassedOver;
  /** How the folder was understood where that is not plain. */
  remarks: readonly string[];
  train: SetReport;
  val: SetReport;
}

/**
 * Decodes every image. Reads files only: whatever is wrong with one is in the report.
 * @throws SystemError when the system does not let them be read, for no fault of theirs.
 * @param resize as the training will have it.
 */
export async function checkImages(
  { source, folder, classNames, ignored, passedOver = {}, remarks = [], train, test }: FileDataset,
  { resize, atOnce, progress = () => {} }: { resize: number; atOnce: number; progress?: Progress },
): Promise<CheckReport> {
  const decode = await openDecoder(resize, 3);
  const total = train.count + test.count;
  let done = 0;

  async function checkSet(files: ImageFiles): Promise<SetReport> {
    const report: SetReport = {
      ...{ images: files.count, bytes: 0, formats: {}, spaces: {}, misnamed: 0 },
      ...{ shortestSide: Number.POSITIVE_INFINITY, longestSide: 0, unreadable: [] },
    };
    const bad: { index: number; reason: string }[] = [];
    const reader = openReader(folder, files);
    try {
      await forEachIndex(files.count, atOnce, async (index) => {
        const read = await reader.read(index);
        if ('bytes' in read) report.bytes += read.bytes.length;
        const path = nameAt(files.names, index);
        const decoded =
          'bytes' in read
            ? await patiently(
                () => join(folder, path),
                () => decode(read.bytes),
              )
            : read;
        if ('reason' in decoded) bad.push({ index, reason: decoded.reason });
        else if ('bytes' in read) addKind(report, path, await kindOf(read.bytes));
        progress(++done, total);
      });
    } finally {
      reader.close();
    }
    bad.sort((a, b) => a.index - b.index);
    report.unreadable = bad.map(({ index, reason }) => ({ path: nameAt(files.names, index), reason }));
    if (report.longestSide === 0) report.shortestSide = 0;
    return report;
  }

  return {
    ...{ source, classes: classNames.length, ignored, passedOver, remarks },
    train: await checkSet(train),
    val: await checkSet(test),
  };
}

/** Endings of names; those of JPEG are many. */
const FORMATS: Record<string, string> = { png: 'png', gif: 'gif', webp: 'webp' };

function addKind(report: SetReport, path: string, kind: Awaited<ReturnType<typeof kindOf>>): void {
  const { format, space, width, height } = kind;
  report.formats[format] = (report.formats[format] ?? 0) + 1;
  report.spaces[space] = (report.spaces[space] ?? 0) + 1;
  if ((FORMATS[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? 'jpeg') !== format) report.misnamed++;
  report.shortestSide = Math.min(report.shortestSide, width, height);
  report.longestSide = Math.max(report.longestSide, width, height);
}
