/** Images per second that the data workers prepare, by the number of threads, with nothing else to do. */
import { join } from 'node:path';
import { PRESETS } from '../../src/config/presets.js';
import {
  type Batch,
  loadDataset,
  openDataset,
  openFeeder,
  openImages,
  packImages,
  statisticsOf,
} from '../../src/data/index.js';
import { inTemporaryFolder } from '../trainer.js';
import { CLASSES, HEIGHT, WIDTH, writeImages } from './images.js';
import { interleave, printTimings, save } from './report.js';

const FILES_BATCH = 64;

type FeederOptions = Parameters<typeof openFeeder>[0];

/** Times `batches` batches of each source, with 0, 1, 2 and 4 threads. */
async function timeFeeders(sources: Record<string, FeederOptions>, batches: number, rounds: number) {
  const variants = [0, 1, 2, 4].flatMap((workers) =>
    Object.entries(sources).map(([source, options]) => {
      // The only slot stays in use between the rounds, so that no batch is prepared while other variants are timed.
      const feeder = openFeeder({ ...options, data: { ...options.data, workers }, slots: 1 });
      let step = 0;
      let held: Batch | undefined;
      const run = async () => {
        for (let i = 0; i < batches; i++) {
          if (held) feeder.release(held);
          held = await feeder.train(++step);
        }
      };
      return { name: `${workers} threads, ${source}`, run, feeder };
    }),
  );
  const timings = await interleave(variants, rounds);
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
  save(name, { preset, timings: await timeFeeders({ '8 batches': options }, 8, rounds) });
}

/** JPEG files of a folder and of shards, which are read, decoded, cropped and augmented with all of ImageNet's recipe. */
export async function benchFiles(images: number, rounds: number, name?: string): Promise<void> {
  await inTemporaryFolder('bench', async (base) => {
    const [folder, shards] = [join(base, 'folder'), join(base, 'packed')];
    const meanBytes = await writeImages(folder, images);
    await packImages(openImages(folder), { out: shards, shardBytes: 2 ** 24 });
    const { net, data, seed } = PRESETS.fashion;
    const { inputSize, inputChannels } = net;
    const colourNoise = { strength: 0.1, end: null, divide: true, colours: 'imagenet' } as const;
    const recipe = { ...data, meanImage: true, colourNoise, workers: 0 };
    const { resize, onBadImage } = data;
    const reading = { resize, onBadImage, channels: 3, cache: join(base, 'cache'), concurrency: 2 } as const;
    const statistics = await statisticsOf(openImages(folder), reading);
    const common = { batchSize: FILES_BATCH, inputSize, inputChannels, seed, statistics, data: recipe };
    const optionsOf = (source: string) => ({ ...common, dataset: openDataset(source, CLASSES) });
    console.log(
      `${images} JPEG files of ${WIDTH} x ${HEIGHT}, ${(meanBytes / 1000).toFixed(0)} kB each, to ${inputSize} pixels; 4 batches of ${FILES_BATCH}`,
    );
    const timings = await timeFeeders({ folder: optionsOf(folder), shards: optionsOf(shards) }, 4, rounds);
    save(name, { images, meanBytes, batch: FILES_BATCH, timings });
  });
}
