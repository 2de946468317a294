/** Sums over ranges of the training images: in a thread of its own, or on the calling one. */
import { type Decode, type Decoding, openDecoder } from '../images/decode.js';
import { forEachImage } from '../images/each-image.js';
import { SystemError } from '../images/retry.js';
import type { Stored } from '../images/stored.js';
import type { ImageFiles } from '../sets/dataset.js';
import { createSums, type Totals } from './sums.js';

/** All that a thread needs. It is sent once; large arrays are shared. */
export interface SumSetup extends Decoding {
  readonly folder: string;
  readonly train: ImageFiles;
  readonly resize: number;
  readonly channels: 1 | 3;
  /** How packed images are stored. */
  readonly stored?: Stored | undefined;
  readonly onBadImage: 'fail' | 'skip';
  /** Images that are read at a time. */
  readonly concurrency: number;
  /** The images in the order in which they are read; that of the list by default. */
  readonly order?: Uint32Array | undefined;
}

/** Places of the order, without `to`. */
export interface SumTask {
  from: number;
  to: number;
}

export interface SumResult {
  totals: Totals;
  /** Images that could not be read. */
  skipped: number;
  /** With `fail`, the unreadable image that ended the work. */
  bad?: { index: number; reason: string };
  /** Message of the system fault that ended the work. An Error would lose its class between threads. */
  systemFault?: string;
}

/** What sums over ranges. */
export interface Summer {
  /** @throws AbortError or DataError once it is closed. */
  sum(task: SumTask): Promise<SumResult>;
  close(): Promise<void>;
}

/** Shards that are open at a time: they are read one after the other. */
const MAX_OPEN = 2;

/**
 * Sums on the calling thread.
 * @param onImage called after each image.
 */
export function openSummer(setup: SumSetup, onImage: () => void = () => {}): Summer {
  const { folder, train, stored, resize, channels, onBadImage, concurrency, order } = setup;
  const closing = new AbortController();
  let opening: Promise<Decode> | undefined;
  return {
    async sum({ from, to }) {
      opening ??= openDecoder(resize, channels, setup, stored);
      const decode = await opening;
      const sums = createSums(resize, resize, channels);
      const result: SumResult = { totals: sums.totals(), skipped: 0 };
      const only = order?.subarray(from, to) ?? Uint32Array.from({ length: to - from }, (_, i) => from + i);
      const options = { action: 'sum', concurrency, only, maxOpen: MAX_OPEN, signal: closing.signal };
      try {
        await forEachImage(folder, train, options, async (index, reader) => {
          const decoded = await reader.read(index, decode);
          if ('pixels' in decoded) sums.add(decoded.pixels);
          else if (onBadImage === 'skip') result.skipped++;
          else {
            result.bad ??= { index, reason: decoded.reason };
            return 'stop';
          }
          onImage();
          return undefined;
        });
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        result.systemFault = error.message;
      }
      return { ...result, totals: sums.totals() };
    },
    async close() {
      closing.abort();
    },
  };
}
