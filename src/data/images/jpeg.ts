/** A faster decoder for the JPEG images of shards, where it gives the pixels of the usual one. */
import type sharp from 'sharp';

/** Decodes a JPEG file to pixels [height, width, 3]; throws if it cannot. */
type DecodeJpeg = (file: Uint8Array) => Uint8Array;

/** What the module exports that `Decoding.jpegDecoder` names. */
interface JpegModule {
  /** Returns a decoder for this thread, or undefined while there is none. */
  openJpegDecoder(): DecodeJpeg | undefined;
}

/**
 * Opens the decoder of a module for images of this size.
 * @param url of the module. @param open sharp.
 * @returns decodes a file that `encodeJpeg` has made; undefined if it is for sharp, because the module has no decoder yet,
 * its decoder gives other pixels than sharp on this machine, or it does not decode the file.
 */
export async function openFastDecoder(url: string, size: number, open: typeof sharp) {
  const module: JpegModule = await import(url);
  let decode: DecodeJpeg | undefined;
  let testing: Promise<boolean> | undefined;
  return async (file: Uint8Array): Promise<Uint8Array | undefined> => {
    decode ??= module.openJpegDecoder();
    if (!decode) return undefined;
    testing ??= givesSamePixels(decode, open);
    if (!(await testing)) return undefined;
    try {
      const pixels = decode(file);
      return pixels.length === size * size * 3 ? pixels : undefined;
    } catch {
      return undefined; // sharp says why it is not readable
    }
  };
}

/** Compares both decoders on an image of noise with a side that is no multiple of a block's. */
async function givesSamePixels(decode: DecodeJpeg, open: typeof sharp): Promise<boolean> {
  const raw = { width: 35, height: 33, channels: 3 } as const;
  let state = 1;
  const noise = Uint8Array.from({ length: raw.width * raw.height * raw.channels }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  const file = await open(noise, { raw }).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
  try {
    return Buffer.compare(decode(file), await open(file).raw().toBuffer()) === 0;
  } catch {
    return false;
  }
}
