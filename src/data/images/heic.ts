/**
 * HEIC images, as phones write them. The library that decodes the other formats has no decoder for HEVC, and one in
 * WebAssembly needs seconds for a photo, in each epoch. So they have to be converted once.
 */
import { shellWord } from '../../printable.js';

/** Endings of HEIC files. */
export const HEIC_ENDING = /\.(hei[cf]s?|hif)$/i;

/** Brands of the format (ISO/IEC 23008-12, Apple). */
const BRANDS = /^(hei[cxms]|hev[cxms]|mif1|msf1)$/;

/** Whether the first bytes are those of a HEIC file, whatever its name is. */
export function isHeic(bytes: Buffer): boolean {
  return bytes.toString('latin1', 4, 8) === 'ftyp' && BRANDS.test(bytes.toString('latin1', 8, 12));
}

/** How to convert a file, on the systems that people have. */
export function convertHeic(path: string): string {
  const file = shellWord(path);
  const jpeg = shellWord(`${path.replace(HEIC_ENDING, '')}.jpg`);
  return `\`sips -s format jpeg ${file} --out ${jpeg}\` on macOS, \`heif-convert ${file} ${jpeg}\` on Linux; docs/photos.md says more`;
}

/** Why a HEIC file is not read. */
export const HEIC_REASON =
  'it is a HEIC image, which is not decoded: convert it to JPEG with sips (macOS), heif-convert (Linux) or a photo program';
