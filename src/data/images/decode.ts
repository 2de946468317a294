/** Decodes image files to pixels of one size. This is the only file that loads sharp. */
import type sharp from 'sharp';
import { explainLoadFailure } from '../../addon.js';
import { DataError } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';
import { resizeBilinear } from './bilinear.js';
import { HEIC_REASON, isHeic } from './heic.js';
import { openFastDecoder } from './jpeg.js';
import type { Refused } from './reader.js';
import { errorWithCode } from './retry.js';
import { isAsStored, rawBytes, type Stored } from './stored.js';

/**
 * Loaders that libvips must not use, although {@link formatOf} refuses such files anyway. Blocking applies to the whole
 * process, and each data worker does it while others decode: so it must never block a loader that is needed.
 */
const BLOCKED = ['VipsForeignLoadTiff', 'VipsForeignLoadSvg', 'VipsForeignLoadHeif', 'VipsForeignLoadVips'];

/** 8192 x 8192. A progressive JPEG takes up to 8 bytes a pixel while it is decoded, however small its file is. */
const MAX_PIXELS = 2 ** 26;

/** How an image is scaled: by sharp, or as Pillow and so torchvision does, which decodes it at its whole size. */
export type Interpolation = 'lanczos' | 'bilinear';

/** How image files become pixels, apart from their size. */
export interface Decoding {
  /** `lanczos` if absent. */
  readonly interpolation?: Interpolation | undefined;
  /** Whether an image is turned as its EXIF orientation says. */
  readonly upright?: boolean | undefined;
  /**
   * The URL of a module with a faster decoder (`jpeg.ts`), for JPEG images that are stored in the size that is wanted. It is
   * a URL because threads cannot pass functions to each other.
   */
  readonly jpegDecoder?: string | undefined;
}

/** Returns pixels [resize, resize, channels], or why the file does not decode. Rejects with ENOMEM if there is no memory. */
export type Decode = (bytes: Buffer) => Promise<{ readonly pixels: Uint8Array } | Refused>;

/** The channels to which image files are decoded: grey for a net with one input channel, otherwise red, green and blue. */
export function channelsFor(inputChannels: number): 1 | 3 {
  return inputChannels === 1 ? 1 : 3;
}

/**
 * Opens a decoder. It scales the shorter side to `resize` pixels and takes the middle of the longer side (ImageNet's
 * practice since the code of 2012). Grey is repeated in every channel; CMYK and 16 bits become 8-bit sRGB; transparent
 * pixels are blended on black; colour profiles are ignored, and so is the EXIF orientation unless `upright`; an animation
 * gives its first frame.
 * @param stored of packed images. Raw pixels that are read as they are stored are not copied, and sharp is not loaded.
 * @throws DataError if sharp does not load on this machine.
 */
export async function openDecoder(
  resize: number,
  channels: 1 | 3,
  decoding: Decoding = {},
  stored?: Stored,
): Promise<Decode> {
  const { interpolation = 'lanczos', upright = false } = decoding;
  if (stored?.kind === 'raw') return openRawDecoder(resize, channels, decoding, stored);
  const open = await loadSharp();
  const space = channels === 1 ? 'b-w' : 'srgb';
  const url = channels === 3 && stored && isAsStored(stored, resize, decoding) ? decoding.jpegDecoder : undefined;
  const decodeFast = url === undefined ? undefined : openFastDecoder(url, resize, open);
  return async (bytes) => {
    if (bytes.length === 0) return { reason: 'the file is empty' };
    const format = formatOf(bytes);
    if (format === undefined) {
      if (isHeic(bytes)) return { reason: HEIC_REASON };
      const placeholder = describePlaceholder(bytes);
      return {
        reason: `it is not a JPEG, PNG, GIF or WebP image${placeholder === undefined ? '' : `: ${placeholder}`}`,
      };
    }
    const fast = await decodeFast?.(bytes);
    if (fast) return { pixels: fast };
    for (let isRetry = false; ; isRetry = true) {
      try {
        const options = {
          failOn: 'error',
          ignoreIcc: true,
          limitInputPixels: MAX_PIXELS,
          autoOrient: upright,
        } as const;
        const image = open(bytes, options).flatten({ background: '#000' });
        const pixels = await (interpolation === 'bilinear'
          ? scaledLikePillow(image, space, resize)
          : image.resize(resize, resize, { fit: 'cover', position: 'centre' }).toColourspace(space).raw().toBuffer());
        if (pixels.length === resize * resize * channels) return { pixels };
        return { reason: `it decodes to ${pixels.length} bytes, not ${resize * resize * channels}` };
      } catch (error) {
        const message = (error as Error).message.trim().split('\n', 1)[0]!;
        if (!NO_MEMORY.test(message)) return { reason: describeFailure(bytes, format, message) };
        if (NO_THREAD.test(message) || !(await hasMemoryFor(bytes))) {
          throw errorWithCode('ENOMEM', `no memory to decode it: ${message}`);
        }
        // Memory for its pixels is free. Either others used it a moment ago, or the file itself asks for more.
        if (isRetry) return { reason: describeFailure(bytes, format, message) };
      }
    }
  };
}

async function openRawDecoder(resize: number, channels: 1 | 3, decoding: Decoding, stored: Stored): Promise<Decode> {
  const { size } = stored;
  const isWhole = (bytes: Buffer) => bytes.length === rawBytes(size);
  const refused = (bytes: Buffer) => ({ reason: `it has ${bytes.length} bytes, not ${rawBytes(size)}` });
  if (channels === 3 && isAsStored(stored, resize, decoding)) {
    return async (bytes) => (isWhole(bytes) ? { pixels: bytes } : refused(bytes));
  }
  const open = await loadSharp();
  const space = channels === 1 ? 'b-w' : 'srgb';
  const raw = { width: size, height: size, channels: 3 } as const;
  return async (bytes) => {
    if (!isWhole(bytes)) return refused(bytes);
    const image = open(bytes, { raw });
    const pixels = await (decoding.interpolation === 'bilinear'
      ? scaledLikePillow(image, space, resize)
      : image.resize(resize, resize).toColourspace(space).raw().toBuffer());
    return { pixels };
  };
}

/** Encodes pixels [size, size, 3] as a JPEG file, with full resolution in every channel. */
export async function encodeJpeg(pixels: Uint8Array, size: number, quality: number): Promise<Buffer> {
  const open = await loadSharp();
  const raw = { width: size, height: size, channels: 3 } as const;
  return open(pixels, { raw }).jpeg({ quality, chromaSubsampling: '4:4:4' }).toBuffer();
}

async function scaledLikePillow(
  image: ReturnType<typeof sharp>,
  space: 'b-w' | 'srgb',
  resize: number,
): Promise<Uint8Array> {
  const { data, info } = await image.toColourspace(space).raw().toBuffer({ resolveWithObject: true });
  return info.width === resize && info.height === resize ? data : resizeBilinear(data, info, resize);
}

/** Messages of libvips and its decoders when memory is short, or when a file asks for more than they allow. */
const NO_MEMORY = /out of memory|insufficient memory|cannot allocate|unable to (allocate|create thread)/i;
/** No file can cause this one. */
const NO_THREAD = /unable to create thread/i;

/** Whether the memory that an image of this size needs can be allocated: 16 bytes a pixel, at least 64 MiB. */
async function hasMemoryFor(bytes: Buffer): Promise<boolean> {
  const { width, height } = await readHeader(bytes).catch(() => ({ width: 0, height: 0 }));
  try {
    Buffer.allocUnsafeSlow(Math.max(2 ** 26, 16 * Math.min(width * height, MAX_PIXELS)));
    return true;
  } catch {
    return false;
  }
}

/** The pixels of an image as they are, [height, width, channels]. @throws sharp's error. */
export async function decodeWhole(bytes: Buffer) {
  const open = await loadSharp();
  const { data, info } = await open(bytes, { limitInputPixels: MAX_PIXELS })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { pixels: data as Uint8Array, width: info.width, height: info.height, channels: info.channels };
}

/**
 * What the header says; the colour space as sharp names it: `srgb`, `b-w`, `cmyk`, …, and EXIF's orientation, 1 if upright.
 * @throws sharp's error.
 */
export async function readHeader(bytes: Buffer) {
  const open = await loadSharp();
  const {
    format = 'unknown',
    space = 'unknown',
    width = 0,
    height = 0,
    orientation = 1,
  } = await open(bytes).metadata();
  return { format, space, width, height, orientation };
}

let loading: Promise<typeof sharp> | undefined;

/** Loaded on first use: data sets in memory do not need it. */
function loadSharp(): Promise<typeof sharp> {
  loading ??= import('sharp').then(
    ({ default: open }) => {
      open.concurrency(1); // the data workers run in parallel
      open.cache(false); // each image is decoded once per epoch
      open.block({ operation: BLOCKED });
      return open;
    },
    (error: unknown) => {
      throw new DataError(`Cannot decode images: ${explainLoadFailure('sharp', error)}`, { cause: error });
    },
  );
  return loading;
}

export type Format = 'JPEG' | 'PNG' | 'GIF' | 'WebP';

/** The format by the first bytes; undefined if it is not one that is decoded. */
export function formatOf(bytes: Buffer): Format | undefined {
  const starts = (text: string, at = 0) => bytes.toString('latin1', at, at + text.length) === text;
  if (starts('\xff\xd8\xff')) return 'JPEG';
  if (starts('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (starts('GIF87a') || starts('GIF89a')) return 'GIF';
  return starts('RIFF') && starts('WEBP', 8) ? 'WebP' : undefined;
}

/** Looks at the bytes first: libvips mixes up the messages of two files that fail at the same time. */
function describeFailure(bytes: Buffer, format: Format, message: string): string {
  if (message.includes('pixel limit')) return `it is a ${format} image of more than ${MAX_PIXELS} pixels`;
  const end = { JPEG: '\xff\xd9', PNG: 'IEND', GIF: '', WebP: '' }[format]; // what a complete file has near its end
  if (!bytes.subarray(-1024).includes(end, 0, 'latin1')) return `it is a ${format} image cut short`;
  return `it is a ${format} image that does not decode (${message})`;
}
