/** A faster decoder for the JPEG images of shards, where it gives the pixels of the usual one. */
import type sharp from 'sharp';

/** Decodes a JPEG file to pixels [height, width, 3]; rejects if it cannot. */
type DecodeJpeg = (file: Uint8Array) => Promise<Uint8Array>;

/** What the module exports that `Decoding.jpegDecoder` names. */
interface JpegModule {
  /** Returns a decoder for this thread, or undefined while there is none. */
  openJpegDecoder(): DecodeJpeg | undefined;
}

/**
 * Opens the decoder of a module for images of this size.
 * @param url of the module. @param open sharp.
 * @returns decodes a file that `encodeJpeg` has made. It gives undefined if the file is for sharp: the module has no decoder
 * yet, its decoder gives other pixels than sharp on this machine, or the file is another one or damaged.
 */
export function openFastDecoder(url: string, size: number, open: typeof sharp) {
  let opening: Promise<DecodeJpeg | false | undefined> | undefined;
  return async (file: Buffer): Promise<Uint8Array | undefined> => {
    if (!isStoredJpeg(file, size)) return undefined;
    opening ??= openTested(url, open).catch(() => undefined);
    const decode = await opening;
    if (decode === undefined) opening = undefined; // perhaps there is one at the next image
    if (!decode) return undefined;
    const pixels = await decode(file).catch(() => undefined); // sharp says why it is not readable
    return pixels?.length === size * size * 3 ? pixels : undefined;
  };
}

/** @returns undefined if there is no decoder yet, and false if there is one that gives other pixels than sharp. */
async function openTested(url: string, open: typeof sharp): Promise<DecodeJpeg | false | undefined> {
  const decode = ((await import(url)) as JpegModule).openJpegDecoder();
  if (!decode) return undefined;
  const { file, pixels } = await noiseImage(open);
  const own = await decode(file).catch(() => undefined);
  return own !== undefined && Buffer.compare(own, pixels) === 0 && decode;
}

/** A JPEG file of noise whose sides are no multiples of a block's, and its pixels by sharp. */
async function noiseImage(open: typeof sharp): Promise<{ file: Buffer; pixels: Buffer }> {
  const raw = { width: 35, height: 33, channels: 3 } as const;
  let state = 1;
  const noise = Uint8Array.from({ length: raw.width * raw.height * raw.channels }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  const file = await open(noise, { raw }).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
  return { file, pixels: await open(file).raw().toBuffer() };
}

/** The two bytes that begin a JPEG file, and those that end it. */
const [START, END] = [Buffer.from([0xff, 0xd8]), Buffer.from([0xff, 0xd9])];
/** Markers: a frame of a baseline JPEG, and the start of the scan, behind which no frame begins. */
const [FRAME, SCAN] = [0xc0, 0xda];

/** Whether a file is complete, and has a header like those that `encodeJpeg` writes: 8 bits, three components, this size. */
function isStoredJpeg(file: Buffer, size: number): boolean {
  if (!file.subarray(0, 2).equals(START) || !file.subarray(-2).equals(END)) return false;
  for (let at = 2; at + 10 <= file.length && file[at] === 0xff; at += 2 + file.readUInt16BE(at + 2)) {
    const marker = file[at + 1]!;
    if (marker === SCAN) return false;
    if (marker !== FRAME) continue;
    // Length, bits, height, width, the number of components.
    const [height, width] = [file.readUInt16BE(at + 5), file.readUInt16BE(at + 7)];
    return file[at + 4] === 8 && height === size && width === size && file[at + 9] === 3;
  }
  return false;
}
