/**
 * The decoded images of test batches in shared memory, so that an image is decoded once for all its views, whichever thread
 * fills which view. There is room for two batches: the one in use, and the next one, which is filled meanwhile.
 */
/** The image at `offset` of `pixels`, or no pixels if none was readable, and the unreadable images before it. */
export interface Found {
  index: number;
  pixels?: Uint8Array;
  offset: number;
  bad: { index: number; reason: string }[];
  /** Bytes that were read for it. */
  readBytes?: number;
}

const BATCHES = 2;

/** Pixels [2, batchSize, bytes of an image], and for each place the image that is there: its index + 1, or 0. */
export interface Decoded {
  readonly pixels: Uint8Array;
  readonly images: Int32Array;
}

/** Zeros; undefined without memory for them: then each view is decoded. */
export function allocateDecoded(batchSize: number, imageBytes: number): Decoded | undefined {
  try {
    return {
      pixels: new Uint8Array(new SharedArrayBuffer(BATCHES * batchSize * imageBytes)),
      images: new Int32Array(new SharedArrayBuffer(4 * BATCHES * batchSize)),
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/**
 * Finds an image of a test batch: in the memory, or by `decode`, whose result the first view leaves there. The fillings must
 * take turns: {@link createTurns}.
 * @param number of the batch's view. @param place in the batch. @param index of the image.
 */
export async function findDecoded(
  { pixels, images }: Decoded,
  views: number,
  number: number,
  { place, index }: { place: number; index: number },
  decode: () => Found | Promise<Found>,
): Promise<Found> {
  const row = (Math.floor(number / views) % BATCHES) * (images.length / BATCHES) + place;
  const offset = row * (pixels.length / images.length);
  const isFirst = number % views === 0;
  if (!isFirst && images[row] === index + 1) return { index, pixels, offset, bad: [] };
  const found = await decode();
  if (isFirst && found.pixels) {
    images[row] = 0; // until all of the new image is there
    pixels.set(found.pixels, offset);
    images[row] = index + 1;
  }
  return found;
}

/**
 * Orders fillings: the views of a batch after its first one, and a first view after every view of the batch whose place it
 * takes. A filling waits only for those that were started before it.
 */
export function createTurns(views: number) {
  const running = new Map<Promise<unknown>, number>();
  return async <T>(number: number, fill: () => Promise<T>): Promise<T> => {
    const batch = Math.floor(number / views);
    const isBefore = (other: number) => {
      const otherBatch = Math.floor(other / views);
      if (number % views !== 0) return otherBatch === batch && other % views === 0;
      return otherBatch !== batch && otherBatch % BATCHES === batch % BATCHES;
    };
    const before = [...running].filter(([, other]) => isBefore(other)).map(([filling]) => filling);
    const filling = Promise.allSettled(before).then(fill);
    running.set(filling, number);
    try {
      return await filling;
    } finally {
      running.delete(filling);
    }
  };
}
