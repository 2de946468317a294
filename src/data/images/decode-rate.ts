/** How fast images are decoded, with nothing else to do: from files in memory. */
import type { FileDataset } from '../sets/dataset.js';
import { spread } from '../sets/spread.js';
import { type Decoding, openDecoder, readHeader } from './decode.js';
import { openReader } from './reader.js';

/** Enough for images of several sizes; ImageNet's take 30 MB. */
const SAMPLE = 256;

export interface DecodeRate {
  imagesPerS: number;
  /** Mean size of the files, in bytes. */
  meanBytes: number;
  /** The middle one of the images' shorter sides, in pixels. */
  shorterSide: number;
}

/**
 * Decodes some training images again and again for about so long.
 * @param decoders images that are decoded at the same time.
 * @returns undefined if none of these images can be decoded.
 * @throws SystemError if the system refuses to read them.
 */
export async function measureDecoding(
  { folder, train, stored }: FileDataset,
  options: Decoding & {
    resize: number;
    channels: 1 | 3;
    decoders: number;
    seconds: number;
    seed: number;
    signal?: AbortSignal | undefined;
  },
): Promise<DecodeRate | undefined> {
  const { resize, channels, decoders, seconds, seed, signal } = options;
  const decode = await openDecoder(resize, channels, options, stored);
  const reader = openReader(folder, train, { signal });
  const files: { bytes: Buffer; side: number }[] = [];
  try {
    for (const index of spread(train.count, Math.min(SAMPLE, train.count), seed)) {
      const bytes = await reader.read(index, (read) => read);
      if (!Buffer.isBuffer(bytes) || 'reason' in (await decode(bytes))) continue; // it says nothing about the speed
      files.push({ bytes, side: stored?.size ?? (await shorterSideOf(bytes, resize)) });
    }
  } finally {
    reader.close();
  }
  if (files.length === 0) return undefined;
  let done = 0;
  const started = performance.now();
  const isOver = () => signal?.aborted || performance.now() - started > 1000 * seconds;
  const run = async (first: number) => {
    for (let i = first; done < files.length || !isOver(); i++) {
      await decode(files[i % files.length]!.bytes);
      done++;
    }
  };
  await Promise.all(Array.from({ length: decoders }, (_, i) => run(Math.floor((i * files.length) / decoders))));
  const sides = files.map(({ side }) => side).sort((a, b) => a - b);
  return {
    imagesPerS: (1000 * done) / (performance.now() - started),
    meanBytes: files.reduce((sum, { bytes }) => sum + bytes.length, 0) / files.length,
    shorterSide: sides[sides.length >> 1]!,
  };
}

async function shorterSideOf(bytes: Buffer, otherwise: number): Promise<number> {
  const { width, height } = await readHeader(bytes).catch(() => ({ width: otherwise, height: otherwise }));
  return Math.min(width, height);
}
