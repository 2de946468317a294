/** Synthetic photos in class folders: a class is a pattern, in colours, sizes and places that say nothing about it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { draw, PURPOSE, unit } from '../../src/random.js';

/** Whether a point, in units of the picture, is on the pattern; `s` is the pattern's size. */
const PATTERNS: Readonly<Record<string, (x: number, y: number, s: number) => boolean>> = {
  bars: (x, _, s) => Math.sin((6 * x) / s) > 0,
  boards: (x, y, s) => Math.sin((5 * x) / s) * Math.sin((5 * y) / s) > 0,
  cross: (x, y, s) => Math.min(Math.abs(x), Math.abs(y)) < 0.12 * s && Math.max(Math.abs(x), Math.abs(y)) < 0.6 * s,
  disc: (x, y, s) => Math.hypot(x, y) < 0.5 * s,
  dots: (x, y, s) => Math.hypot(Math.sin((5 * x) / s), Math.sin((5 * y) / s)) < 0.5,
  ring: (x, y, s) => Math.abs(Math.hypot(x, y) - 0.5 * s) < 0.12 * s,
  rows: (_, y, s) => Math.sin((6 * y) / s) > 0,
  square: (x, y, s) => Math.max(Math.abs(x), Math.abs(y)) < 0.45 * s,
};

export interface Photos {
  /** Up to 8. */
  classes: number;
  /** Images of each class. */
  train: number;
  val: number;
  /** Height and width in pixels. */
  size: number;
}

/** Writes `train` and `val` with JPEG files into a folder. Their mean is about 150, 120 and 100. */
export async function writePhotos(folder: string, { classes, train, val, size }: Photos): Promise<void> {
  for (const [label, name] of Object.keys(PATTERNS).slice(0, classes).entries()) {
    for (const [part, count, first] of [
      ['train', train, 0],
      ['val', val, 1_000_000],
    ] as const) {
      mkdirSync(join(folder, part, name), { recursive: true });
      for (let i = 0; i < count; i++) {
        const raw = { width: size, height: size, channels: 3 } as const;
        const jpeg = await sharp(photo(PATTERNS[name]!, 100_000 * label + first + i, size), { raw })
          .jpeg()
          .toBuffer();
        writeFileSync(join(folder, part, name, `${i}.jpg`), jpeg);
      }
    }
  }
}

function photo(pattern: (x: number, y: number, s: number) => boolean, index: number, size: number): Buffer {
  const words = [0, 1, 2].flatMap((part) => draw(7, PURPOSE.sample, index, part, 0));
  const [place = [], back = [], front = []] = [0, 4, 8].map((from) => words.slice(from, from + 4).map(unit));
  const scale = 0.5 + 0.7 * place[2]!;
  const pixels = Buffer.alloc(3 * size * size);
  let state = index + 1;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const isOn = pattern((2 * x) / size - 0.5 - place[0]!, (2 * y) / size - 0.5 - place[1]!, scale);
      for (let c = 0; c < 3; c++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0; // Numerical Recipes' generator
        const light =
          150 - 25 * c + 50 * (back[c]! - 0.5) + (isOn ? 90 * (front[c]! > 0.5 ? 1 : -1) * (0.5 + place[3]! / 2) : 0);
        pixels[3 * (size * y + x) + c] = Math.max(0, Math.min(255, light + 30 * (y / size - 0.5) + (state >> 26)));
      }
    }
  }
  return pixels;
}
