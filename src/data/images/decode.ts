/** From a file's bytes to pixels of one size: the one place that knows sharp. */
import { explainLoadFailure } from '../../addon.js';
import { DataError } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';
import { systemError } from './retry.js';

/**
 * What sharp could load besides; the content is looked at before too. Blocking is the whole process's and each data
 * thread does it: so never all loaders for a moment, in which another thread's images would not decode.
 */
const NOT_LOADED = ['VipsForeignLoadTiff', 'VipsForeignLoadSvg', 'VipsForeignLoadHeif', 'VipsForeignLoadVips'];

/**
 * 8192 x 8192: a progressive JPEG takes up to 8 bytes a pixel while it is decoded, whatever few bytes its file has. Sharp's
 * own limit is four times that.
 */
const MAX_PIXELS = 2 ** 26;

/** Pixels [resize, resize, channels], or why there are none. */
export type Decoded = { readonly pixels: Uint8Array } | { readonly reason: string };

/** A file that is no image is a {@link Decoded} with a reason. Rejects as the system does when there is no memory. */
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
    const format = formatOf(bytes);
    if (format === undefined) {
      const held = describePlaceholder(bytes);
      return { reason: `it is no JPEG, PNG, GIF or WebP image${held === undefined ? '' : `: ${held}`}` };
    }
    for (let isAgain = false; ; isAgain = true) {
      try {
        const pixels = await sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels: MAX_PIXELS })
          .flatten({ background: '#000' })
          .resize(resize, resize, { fit: 'cover', position: 'centre' })
          .toColourspace(space)
          .raw()
          .toBuffer();
        if (pixels.length === resize * resize * channels) return { pixels };
        return { reason: `it decodes to ${pixels.length} bytes, not ${resize * resize * channels}` };
      } catch (error) {
        if (!NO_MEMORY.test(firstLine(error))) return { reason: reasonOf(bytes, format, error) };
        if (NO_THREAD.test(firstLine(error)) || !(await hasMemoryFor(bytes))) {
          throw systemError('ENOMEM', `no memory to decode it: ${firstLine(error)}`);
        }
        // There is what its pixels take. Others may have had it a moment ago; or its bytes ask for more, on purpose.
        if (isAgain) return { reason: reasonOf(bytes, format, error) };
      }
    }
  };
}

/** What libvips and its decoders say where there is no memory, or a file asks for more than they give. */
const NO_MEMORY = /out of memory|insufficient memory|cannot allocate|unable to (allocate|create thread)/i;
/** No file asks for threads. */
const NO_THREAD = /unable to create thread/i;
/** What any image may take; and a pixel of a progressive JPEG, twice. */
const MIN_BYTES = 2 ** 26;
const BYTES_A_PIXEL = 16;

/** Whether the process gets as much memory as a picture of the size in the header takes. None of it is filled. */
async function hasMemoryFor(bytes: Buffer): Promise<boolean> {
  const { width, height } = await kindOf(bytes).catch(() => ({ width: 0, height: 0 }));
  try {
    Buffer.allocUnsafeSlow(Math.max(MIN_BYTES, BYTES_A_PIXEL * Math.min(width * height, MAX_PIXELS)));
    return true;
  } catch {
    return false;
  }
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
      sharp.block({ operation: NOT_LOADED });
      return sharp;
    },
    (error: unknown) => {
      throw new DataError(`Cannot decode images: ${explainLoadFailure('sharp', error)}`, { cause: error });
    },
  );
  return loading;
}

/** A format that is decoded. */
export type Format = 'JPEG' | 'PNG' | 'GIF' | 'WebP';

/** What a file is, by its first bytes. */
export function formatOf(bytes: Buffer): Format | undefined {
  const starts = (text: string, at = 0) => bytes.toString('latin1', at, at + text.length) === text;
  if (starts('\xff\xd8\xff')) return 'JPEG';
  if (starts('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (starts('GIF87a') || starts('GIF89a')) return 'GIF';
  return starts('RIFF') && starts('WEBP', 8) ? 'WebP' : undefined;
}

/** What a whole file has at its end, or near it. */
const ENDS: Partial<Record<Format, string>> = { JPEG: '\xff\xd9', PNG: 'IEND' };

/**
 * Why a file does not decode. libvips keeps its messages in one place for all threads, so those of two bad files that
 * are decoded at the same time mix: what the bytes themselves show is said first.
 */
function reasonOf(bytes: Buffer, format: Format, error: unknown): string {
  if (firstLine(error).includes('pixel limit')) return `it is a ${format} image of more than ${MAX_PIXELS} pixels`;
  const end = ENDS[format];
  if (end !== undefined && !bytes.subarray(-1024).includes(end, 0, 'latin1'))
    return `it is a ${format} image cut short`;
  return `it is a ${format} image that does not decode (${firstLine(error)})`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n', 1)[0]!;
}
