/** The part of `data prepare` that packs images into shards. Loads no TensorFlow. */
import { statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  DEFAULT_QUALITY,
  describeStored,
  type FileDataset,
  type PackEstimate,
  packImages,
  type Stored,
} from '../data/index.js';
import { ConfigError } from '../errors.js';
import { usableCores } from '../limits.js';
import { count, duration, mebibytes, plural } from '../numbers.js';
import { openProgressBar } from './progress-bar.js';
import type { Services } from './services.js';

export interface PackFlags {
  resize?: number;
  pack?: string;
  /** MiB. */
  shardSize?: number;
  quality?: number;
  raw?: boolean;
  original?: boolean;
  interpolation: Stored['interpolation'];
  upright?: boolean;
  onBadImage: 'fail' | 'skip';
}

/**
 * How the images are to be stored; undefined leaves the files as they are.
 * @param resize the size that images are prepared with.
 * @throws ConfigError for a flag that has no effect without `--pack`.
 */
export function storedOf(flags: PackFlags, resize: number): Stored | undefined {
  const { pack, raw, quality, original, interpolation, upright } = flags;
  const needing = { '--shard-size': flags.shardSize, '--quality': quality, '--raw': raw, '--original': original };
  const idle = Object.entries(needing).find(([, value]) => value !== undefined);
  if (pack === undefined && idle) {
    throw new ConfigError(`Cannot use ${idle[0]}: it has no effect without --pack; leave it out, or add --pack`);
  }
  const isSized = flags.resize !== undefined || raw || quality !== undefined;
  if (pack === undefined || original || !isSized) return undefined;
  const image = { size: resize, interpolation, ...(upright && { upright }) };
  return raw ? { kind: 'raw', ...image } : { kind: 'jpeg', ...image, quality: quality ?? DEFAULT_QUALITY };
}

/** Packs the images, says before what it takes, and afterwards what it made. @throws as `packImages`. */
export async function pack(
  dataset: FileDataset,
  out: string,
  { shardSize = 512, onBadImage, stored }: Pick<PackFlags, 'shardSize' | 'onBadImage'> & { stored: Stored | undefined },
  services: Services,
): Promise<void> {
  const { stdout, stderr } = services;
  const bar = openProgressBar('packed', services);
  try {
    const { images, shards, kept, leftOut } = await packImages(dataset, {
      ...{ out, shardBytes: shardSize * 2 ** 20, stored, threads: usableCores(), onBadImage },
      onEstimate: (estimate) => stderr.print(...estimateLines(out, estimate, stored)),
      progress: bar.see,
    });
    bar.close();
    const before = kept > 0 ? `, ${count(kept)} of them by an earlier run` : '';
    const without = leftOut.length > 0 ? `; ${plural(leftOut.length, 'unreadable image')} left out` : '';
    stdout.print(
      `${out}: ${plural(images, 'image')} in ${plural(shards, 'shard')}${before}${without}; train on it with --data ${out}`,
    );
  } finally {
    bar.close();
  }
}

function estimateLines(out: string, estimate: PackEstimate, stored: Stored | undefined): string[] {
  const { images, left, bytes, leftBytes, imagesPerSecond, shards } = estimate;
  const what = stored ? describeStored(stored) : 'the files unchanged';
  const time = `${duration((1000 * left) / imagesPerSecond)} at ${count(Math.round(imagesPerSecond))} images/s`;
  const free = freeBytes(out);
  return [
    `packing ${plural(images, 'image')} into ${plural(shards, 'shard')} (${what}): about ${size(bytes)}, and about ${time}${left < images ? ` for the ${count(left)} that are left` : ''}`,
    ...(free !== undefined && free < leftBytes
      ? [
          `the disk of ${out} has ${size(free)} free, and about ${size(leftBytes)} are needed: if it becomes full, free some space and run it again, and it continues`,
        ]
      : []),
  ];
}

/** `53.2 GB`; less than a GB in MiB. */
function size(bytes: number): string {
  return bytes < 1e9 ? mebibytes(bytes) : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Free bytes of the disk that has the folder, or will have it. */
function freeBytes(folder: string): number | undefined {
  for (let path = resolve(folder); ; path = dirname(path)) {
    try {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    } catch {
      if (path === dirname(path)) return undefined;
    }
  }
}
