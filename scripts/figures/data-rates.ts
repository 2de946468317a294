/** Images per second that the data workers prepare from files and from shards, beside PyTorch's DataLoader. */
import { median } from '../../src/numbers.js';
import type { Timing } from '../bench/report.js';
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';

const COMMAND = 'npm run bench -- data --files 512 --rounds 5';

interface Rates {
  images: number;
  meanBytes: number;
  /** Images of a round. */
  imagesPerRound: number;
  /** Versions of its libraries; absent if PyTorch was not installed. */
  pytorch?: Readonly<Record<string, string>>;
  /** Median images per second by source, and in it by the number of workers. */
  rates: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

type Saved = Pick<Rates, 'images' | 'meanBytes' | 'pytorch'> & {
  batch: number;
  batches: number;
  timings: readonly Timing[];
};

export const dataRates: Maker<Rates> = {
  name: 'data-rates',
  minutes: 8,
  commands: [COMMAND],
  needs: 'PyTorch and torchvision',
  async measure({ bench }) {
    const { images, meanBytes, batch, batches, pytorch, timings } = await bench<Saved>(COMMAND);
    const rates: Record<string, Record<string, number>> = {};
    for (const { name, times } of timings) {
      const [, workers, source] = /^(\d+) workers, (.*)$/.exec(name)!;
      rates[source!] ??= {};
      rates[source!]![workers!] = (1000 * batch * batches) / median(times);
    }
    return { images, meanBytes, imagesPerRound: batch * batches, ...(pytorch && { pytorch }), rates };
  },
  blocks: {
    'data-rates'({ images, meanBytes, imagesPerRound, pytorch, rates }, origin) {
      const counts = Object.keys(Object.values(rates)[0]!);
      const rows = Object.entries(rates).map(([source, byCount]) => [
        source,
        ...counts.map((count) => byCount[count]!.toFixed(0)),
      ]);
      const best = (source: string) => Math.max(...Object.values(rates[source] ?? {}));
      const times = (of: string, than: string) => (best(of) / best(than)).toFixed(1);
      const [folder, sized, raw] = ['folder', 'sized shards', 'raw shards'];
      const rival = "PyTorch's DataLoader, sized files, RandomCrop";
      const beside =
        rates[rival] === undefined
          ? ''
          : ` PyTorch's DataLoader with the same images of 256×256 pixels and the same crop: sized shards are ${times(sized, rival)} times as fast.`;
      const versions = Object.entries(pytorch ?? {}).map(([name, version]) => `, ${name} ${version}`);
      return [
        markdownTable(['images per second, by workers', ...counts], rows),
        '',
        `Sized shards are ${times(sized, folder)} times as fast as the originals, raw ones ${times(raw, folder)} times, each with its best number of workers.${beside}`,
        '',
        `${images} JPEG files of 500×375 pixels and ${(meanBytes / 1000).toFixed(0)} kB, cut to 224 pixels, with all of ImageNet's recipe; nothing trains meanwhile. Medians of rounds of ${imagesPerRound} images, all variants in turn. ${machineOf(origin)}${versions.join('')}.`,
      ].join('\n');
    },
  },
};
