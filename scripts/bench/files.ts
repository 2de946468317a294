/** Images per second out of image files, by number of threads: read, decoded, cut, with all of ImageNet's recipe. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { PRESETS } from '../../src/config/presets.js';
import { type Batch, openDataset, openFeeder, openImages, packImages, statisticsOf } from '../../src/data/index.js';
import { interleave, printTimings, save } from './report.js';

/** ImageNet's usual size; the noise brings the files near its 110 kB. */
const [WIDTH, HEIGHT, QUALITY, NOISE] = [500, 375, 90, 75];
const CLASSES = 8;
const BATCH = 64;
const BATCHES = 4;

/**
 * Makes a folder of photograph-like JPEG files: broad waves of colour under noise.
 * @returns the files' mean size in bytes.
 */
export async function makeImages(folder: string, images: number): Promise<number> {
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
      const place = join(folder, part, `class${i % CLASSES}`);
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, `${i}.jpg`), jpeg);
    }
  }
  return bytes / images;
}

/** Prints how fast batches are filled from a folder and from shards, with nothing else to do. */
export async function benchFiles(images: number, rounds: number, name?: string): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'alexnet-split-bench-'));
  try {
    const [folder, packed] = [join(base, 'folder'), join(base, 'packed')];
    const meanBytes = await makeImages(folder, images);
    await packImages(openImages(folder), { out: packed, shardBytes: 2 ** 24 });
    const { net, data, seed } = PRESETS.fashion;
    const recipe = {
      ...{ ...data, meanImage: true },
      colourNoise: { strength: 0.1, end: null, divide: true, colours: 'imagenet' },
    } as const;
    const { resize, onBadImage } = recipe;
    const options = { resize, onBadImage, channels: 3, cache: join(base, 'cache'), concurrency: 2 } as const;
    const statistics = await statisticsOf(openImages(folder), options);
    const { inputSize, inputChannels } = net;
    const common = { batchSize: BATCH, inputSize, inputChannels, seed, statistics };
    const variants = [0, 1, 2, 4].flatMap((workers) =>
      [folder, packed].map((source) => {
        const dataset = openDataset(source, CLASSES);
        // One slot, which is held between the rounds: nothing is filled while others are timed.
        const feeder = openFeeder({ ...common, dataset, data: { ...recipe, workers }, slots: 1 });
        let step = 0;
        let held: Batch | undefined;
        const run = async () => {
          for (let i = 0; i < BATCHES; i++) {
            if (held) feeder.release(held);
            held = await feeder.train(++step);
          }
          return undefined;
        };
        const kind = source === folder ? 'folder' : 'shards';
        return { name: `${workers} threads, ${kind}`, run, close: () => feeder.close() };
      }),
    );
    const timings = await interleave(variants, rounds);
    for (const { close } of variants) await close();
    console.log(
      `${images} JPEG files of ${WIDTH} x ${HEIGHT}, ${(meanBytes / 1000).toFixed(0)} kB each, to ${inputSize} pixels; ${BATCHES} batches of ${BATCH}`,
    );
    printTimings(timings, { 'images/s': (ms) => ((BATCHES * BATCH * 1000) / ms).toFixed(0) });
    save(name, { images, meanBytes, batch: BATCH, timings });
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
