/** Packed images of one size: how they are stored, and whether that fits what a run reads. */
import { z } from 'zod';
import { ConfigError } from '../../errors.js';

/** How the originals were read. */
const decoded = {
  interpolation: z.enum(['lanczos', 'bilinear']),
  /** Whether they were turned as their EXIF orientation says. Absent: no. */
  upright: z.literal(true).optional(),
};

/** How the images of a packed data set are stored, if not as the files that they were. */
export const storedSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('jpeg'),
    /** Height and width in pixels. */
    size: z.int().min(1).max(4096),
    ...decoded,
    /** Of the JPEG files, which have full resolution in every channel (4:4:4). */
    quality: z.int().min(1).max(100),
  }),
  z.object({
    /** uint8 [size, size, 3]: red, green and blue. */
    kind: z.literal('raw'),
    size: z.int().min(1).max(4096),
    ...decoded,
  }),
]);
export type Stored = Readonly<z.infer<typeof storedSchema>>;

/** Of every thousand values of a photo, some seven then differ by more than 8 grey levels; see docs/data.md. */
export const DEFAULT_QUALITY = 95;

/** Bytes of an image that is stored raw. */
export function rawBytes(size: number): number {
  return size * size * 3;
}

/** How images are to be read, as `Decoding` has it. */
interface Wanted {
  readonly interpolation?: Stored['interpolation'] | undefined;
  readonly upright?: boolean | undefined;
}

/** `256 × 256 pixels, JPEG of quality 95, scaled by lanczos`. */
export function describeStored(stored: Stored): string {
  const { kind, size, interpolation, upright } = stored;
  const how = kind === 'raw' ? 'raw' : `JPEG of quality ${stored.quality}`;
  return `${size} × ${size} pixels, ${how}, scaled by ${interpolation}${upright ? ', turned by EXIF' : ''}`;
}

/** Whether images that are read with these options are those that are stored, pixel by pixel. */
export function isAsStored(stored: Stored, resize: number, wanted: Wanted): boolean {
  return stored.size === resize && differences(stored, wanted).length === 0;
}

/** Settings that are not those of the packing, and what they are now. */
function differences({ interpolation: scaled, upright: isTurned }: Stored, wanted: Wanted): string[] {
  const turned = isTurned === true;
  const { interpolation = 'lanczos', upright = false } = wanted;
  return [
    ...(scaled === interpolation ? [] : [`were scaled by ${scaled}, and data.interpolation is ${interpolation}`]),
    ...(turned === upright
      ? []
      : [`were ${turned ? '' : 'not '}turned by their EXIF orientation, and data.upright is ${upright}`]),
  ];
}

/**
 * Checks that stored images can be read at `resize` pixels.
 * @returns sentences about images that are not what a folder of the originals would give.
 * @throws ConfigError if they would have to be enlarged.
 */
export function remarksOnStored(source: string, stored: Stored, resize: number, wanted: Wanted = {}): string[] {
  const { size } = stored;
  if (resize > size) {
    throw new ConfigError(
      `Cannot use ${source} with --resize ${resize}: its images are stored with ${size} pixels, expected at most that; use --resize ${size}, or pack the original images again with --resize ${resize}`,
    );
  }
  const smaller = `the images are stored with ${size} pixels, and are scaled again to ${resize}: that is slower and less sharp than to pack the originals with --resize ${resize}`;
  return [
    ...(resize < size ? [smaller] : []),
    ...differences(stored, wanted).map(
      (what) => `the images ${what}: they stay as they were packed; pack the originals again to change that`,
    ),
  ];
}

/** Numpy's format 1.0: magic and version, the length of the text, the text; 128 bytes together. */
const NPY_BYTES = 128;

/**
 * The header that makes raw pixels a file of NumPy's format (`.npy`), which other tools read as uint8 [size, size, 3].
 * See https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
 */
export function npyHeader(size: number): Buffer {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${size}, ${size}, 3), }`;
  const header = Buffer.alloc(NPY_BYTES, ' ');
  header.write('\x93NUMPY\x01\x00', 0, 'latin1');
  header.writeUInt16LE(NPY_BYTES - 10, 8);
  header.write(text, 10, 'latin1');
  header.write('\n', NPY_BYTES - 1, 'latin1');
  return header;
}
