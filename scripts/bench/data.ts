/** Images per second that the data workers prepare, by the number of threads, with nothing else to do. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PRESETS } from '../../src/config/presets.js';
import { openReader } from '../../src/data/images/reader.js';
import {
  type Batch,
  DEFAULT_QUALITY,
  loadDataset,
  openDataset,
  openFeeder,
  openImages,
  packImages,
  statisticsOf,
} from '../../src/data/index.js';
import { usableCores } from '../../src/limits.js';
import { openContext } from '../../src/native/index.js';
import { plural } from '../../src/numbers.js';
import { poolThreads } from '../../src/pool-threads.js';
import { JPEG_DECODER } from '../../src/train/feed.js';
import { inTemporaryFolder } from '../trainer.js';
import { CLASSES, HEIGHT, WIDTH, writeImages } from './images.js';
import { openLoaders } from './pytorch-data.js';
import { interleave, printTimings, save, type Variant } from './report.js';

const [FILES_BATCH, BATCHES] = [64, 8];

type FeederOptions = Parameters<typeof openFeeder>[0];

/** Slots of a feeder, as a training has. */
const SLOTS = 3;

/**
 * Times epochs of `batches` batches of each source, with so many workers, and further variants in turn with them.
 * @param further of as many images.
 */
async function timeFeeders(
  sources: Record<string, FeederOptions>,
  { batches, rounds, workers = [0, 1, 2, 4] }: { batches: number; rounds: number; workers?: readonly number[] },
  further: readonly Variant[] = [],
) {
  const variants = workers.flatMap((count) =>
    Object.entries(sources).map(([source, options]) => {
      const data = { ...options.data, workers: count };
      const feeder = openFeeder({ ...options, data, decoders: Math.max(1, count), slots: SLOTS });
      let step = 0;
      // All slots stay in use between the rounds, so that no batch is prepared while other variants are timed.
      const held: Batch[] = [];
      const run = async () => {
        for (const batch of held.splice(0)) feeder.release(batch);
        for (let i = 0; i < batches; i++) {
          if (held.length === SLOTS) feeder.release(held.shift()!);
          held.push(await feeder.train(++step));
        }
      };
      return { name: `${count} workers, ${source}`, run, feeder };
    }),
  );
  const timings = await interleave([...variants, ...further], rounds);
  for (const { feeder } of variants) await feeder.close();
  const images = batches * Object.values(sources)[0]!.batchSize;
  printTimings(timings, { 'images/s': (ms) => ((images * 1000) / ms).toFixed(0) });
  return timings;
}

/** Images of a preset, which are in memory. */
export async function benchData(preset: 'mini' | 'fashion' | 'tutorial', rounds: number, name?: string): Promise<void> {
  const { net, data, batchSize, seed } = PRESETS[preset];
  const { inputSize, inputChannels } = net;
  const dataset = loadDataset('embedded', net.classes);
  console.log(`preset ${preset}: ${inputSize} px, ${inputChannels} channels, batch ${batchSize}`);
  const options = { dataset, batchSize, inputSize, inputChannels, seed, data: { ...data, workers: 0 } };
  save(name, { preset, timings: await timeFeeders({ '8 batches': options }, { batches: 8, rounds }) });
}

/** 0, 1, 2, 4, … and as many workers as there are cores. */
function workerCounts(cores = usableCores()): number[] {
  return [...new Set([0, 1, 2, ...[4, 8, 16, 32].filter((count) => count < cores), Math.min(64, cores)])];
}

/** Writes the training images of shards as files, in a folder for each class. */
async function unpackTraining(shards: string, folder: string): Promise<void> {
  const { train } = openImages(shards);
  const reader = openReader(shards, train);
  for (let i = 0; i < train.count; i++) {
    const to = join(folder, `class${train.labels[i]}`);
    mkdirSync(to, { recursive: true });
    await reader.read(i, (bytes) => writeFileSync(join(to, `${i}.jpg`), bytes));
  }
  reader.close();
}

/**
 * JPEG files of a folder and of shards, and shards of images of one size, JPEG and raw. They are read, decoded, cropped and
 * augmented with all of ImageNet's recipe, beside PyTorch's DataLoader on the same files: the folder, and the images of one size.
 */
export async function benchFiles(images: number, rounds: number, name?: string): Promise<void> {
  await inTemporaryFolder('bench', async (base) => {
    const [folder, shards] = [join(base, 'folder'), join(base, 'packed')];
    const [sized, raw] = [join(base, 'sized'), join(base, 'raw')];
    const meanBytes = await writeImages(folder, images);
    const { net, data, seed } = PRESETS.fashion;
    const { inputSize, inputChannels } = net;
    const colourNoise = { strength: 0.1, end: null, divide: true, colours: 'imagenet' } as const;
    const recipe = { ...data, meanImage: true, colourNoise, workers: 0 };
    const { resize, onBadImage } = data;
    const stored = { size: resize, interpolation: 'lanczos' } as const;
    const packing = { shardBytes: 2 ** 24, threads: usableCores() };
    await packImages(openImages(folder), { ...packing, out: shards });
    const jpeg = { kind: 'jpeg', quality: DEFAULT_QUALITY, ...stored } as const;
    await packImages(openImages(folder), { ...packing, out: sized, stored: jpeg });
    await packImages(openImages(folder), { ...packing, out: raw, stored: { kind: 'raw', ...stored } });
    const reading = { resize, onBadImage, channels: 3, cache: join(base, 'cache'), concurrency: 2 } as const;
    const statistics = await statisticsOf(openImages(folder), reading);
    // Each image is decoded each time, as those of a large set are.
    openContext(); // as a training does, whose devices decode JPEG images too
    const common = {
      jpegDecoder: JPEG_DECODER,
      batchSize: FILES_BATCH,
      inputSize,
      inputChannels,
      seed,
      statistics,
      data: recipe,
      keptBytes: 0,
    };
    const optionsOf = (source: string) => ({ ...common, dataset: openDataset(source, CLASSES) });
    const workers = workerCounts();
    await unpackTraining(sized, join(base, 'unpacked'));
    const epoch = { images: BATCHES * FILES_BATCH, batch: FILES_BATCH, resize, crop: inputSize };
    const pytorch = await openLoaders(
      { ...epoch, folder: join(folder, 'train'), sized: join(base, 'unpacked') },
      workers,
    );
    console.log(
      `${images} JPEG files of ${WIDTH} x ${HEIGHT}, ${(meanBytes / 1000).toFixed(0)} kB each, to ${inputSize} pixels; ${BATCHES} batches of ${FILES_BATCH}; ${plural(poolThreads(), 'decoder thread')}`,
    );
    const sources = {
      folder: optionsOf(folder),
      shards: optionsOf(shards),
      'sized shards': optionsOf(sized),
      'raw shards': optionsOf(raw),
    };
    const timings = await timeFeeders(sources, { batches: BATCHES, rounds, workers }, pytorch?.variants);
    pytorch?.close();
    save(name, { images, meanBytes, batch: FILES_BATCH, batches: BATCHES, pytorch: pytorch?.versions, timings });
  });
}
