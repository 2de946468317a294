/** From a file's bytes to pixels of one size: the one place that knows sharp. */
import { DataError } from '../errors.js';

/** Image files: what the content is decides how they are decoded, not the name. */
const LOADERS = ['VipsForeignLoadJpeg', 'VipsForeignLoadPng', 'VipsForeignLoadNsgif', 'VipsForeignLoadWebp'];

/** Pixels [resize, resize, channels], or why there are none. */
export type Decoded = { readonly pixels: Uint8Array } | { readonly reason: string };

/** Never rejects: a file that is no image is a {@link Decoded} with a reason. */
export type Decode = (bytes: Buffer) => Promise<Decoded>;

/** What a file is, by its content. */
export interface ImageKind {
  format: string;
  /** As sharp names it: `srgb`, `b-w`, `cmyk`, … */
  space: string;
  width: number;
  height: number;
}

/**
 * A decoder. The shorter side becomes `resize` pixels, and the middle of the longer one is taken (ImageNet's practice
 * since the 2012 code). The rest is decided so: grey is repeated in every channel; CMYK and 16 bits become 8-bit sRGB;
 * what is transparent lies on black; embedded profiles and the orientation in EXIF are not looked at; of an animation it
 * is the first picture. A file that ends too soon is no image.
 * @param resize height and width of the result, from 1.
 * @param channels 1, grey, or 3.
 * @throws DataError when sharp does not run on this machine.
 */
export async function openDecoder(resize: number, channels: 1 | 3): Promise<Decode> {
  const sharp = await loadSharp();
  const space = channels === 1 ? 'b-w' : 'srgb';
  return async (bytes) => {
    if (bytes.length === 0) return { reason: 'the file is empty' };
    try {
      const pixels = await sharp(bytes, { failOn: 'error', ignoreIcc: true })
        .flatten({ background: '#000' })
        .resize(resize, resize, { fit: 'cover', position: 'centre' })
        .toColourspace(space)
        .raw()
        .toBuffer();
      if (pixels.length === resize * resize * channels) return { pixels };
      return { reason: `it decodes to ${pixels.length} bytes, not ${resize * resize * channels}` };
    } catch (error) {
      return { reason: reasonOf(error) };
    }
  };
}

/** What a file's header says. @throws sharp's error when it says nothing. */
export async function kindOf(bytes: Buffer): Promise<ImageKind> {
  const sharp = await loadSharp();
  const { format = 'unknown', space = 'unknown', width = 0, height = 0 } = await sharp(bytes).metadata();
  return { format, space, width, height };
}

let loading: Promise<typeof import('sharp').default> | undefined;

/** Loaded by the first who decodes: data sets without files never need it. */
function loadSharp(): Promise<typeof import('sharp').default> {
  loading ??= import('sharp').then(
    ({ default: sharp }) => {
      sharp.concurrency(1); // the data threads are the concurrency
      sharp.cache(false); // no image comes twice
      sharp.block({ operation: ['VipsForeignLoad'] });
      sharp.unblock({ operation: LOADERS });
      return sharp;
    },
    (error: unknown) => {
      throw new DataError(
        `Cannot decode images: sharp does not load (${firstLine(error)}), expected its binary for ${process.platform}-${process.arch}; install the packages again, optional ones included`,
        { cause: error },
      );
    },
  );
  return loading;
}

/** libvips's words in ours, where there are better ones. */
function reasonOf(error: unknown): string {
  const message = firstLine(error);
  if (/unsupported image format/.test(message)) return 'it is no JPEG, PNG, GIF or WebP image';
  if (/premature end/.test(message)) return `it is cut short (${message})`;
  return `it does not decode (${message})`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n', 1)[0]!;
}
