/** Image files for benchmarks. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

/** ImageNet's usual size. With this noise the files are about as large as ImageNet's, 110 kB. */
export const [WIDTH, HEIGHT, QUALITY, NOISE] = [500, 375, 90, 75];
export const CLASSES = 8;

/**
 * Writes a folder of JPEG files that are similar to photographs: broad waves of colour with noise.
 * @returns the mean size of the files in bytes.
 */
export async function writeImages(folder: string, images: number): Promise<number> {
  let bytes = 0;
  for (let i = 0; i < images; i++) {
    const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
    let noise = i + 1;
    for (let at = 0; at < pixels.length; at++) {
      noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
      const [x, y, c] = [Math.floor(at / 3) % WIDTH, Math.floor(at / 3 / WIDTH), at % 3];
      const wave = Math.sin(x / (19 + (i % 23)) + c) + Math.cos(y / (17 + (i % 31)) + i);
      pixels[at] = 128 + 45 * wave + (noise / 2 ** 32 - 0.5) * NOISE;
    }
    const raw = { width: WIDTH, height: HEIGHT, channels: 3 } as const;
    const jpeg = await sharp(pixels, { raw }).jpeg({ quality: QUALITY }).toBuffer();
    bytes += jpeg.length;
    for (const part of i < CLASSES ? ['train', 'val'] : ['train']) {
      const classFolder = join(folder, part, `class${i % CLASSES}`);
      mkdirSync(classFolder, { recursive: true });
      writeFileSync(join(classFolder, `${i}.jpg`), jpeg);
    }
  }
  return bytes / images;
}
