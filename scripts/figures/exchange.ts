/** Bytes per second of the exchange, beside a copy of memory. */
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';

const COMMAND = 'npm run bench -- exchange --rounds 30';

interface Saved {
  results: { bytes: number; medians: [name: string, ms: number][]; ratios: { name: string; ratio: number }[] }[];
}

export const exchange: Maker<Saved> = {
  name: 'exchange',
  minutes: 0.2,
  commands: [COMMAND],
  async measure({ bench }) {
    return { results: (await bench<Saved>(COMMAND)).results };
  },
  blocks: {
    exchange({ results }, origin) {
      const [small, large] = [results[0]!, results.at(-1)!];
      const rows = large.medians.map(([name, ms]) => {
        const { ratio } = large.ratios.find((each) => each.name === name)!;
        return [name, ms.toFixed(2), (large.bytes / ms / 1e6).toFixed(1), ratio.toFixed(2)];
      });
      const overhead = small.medians.find(([name]) => name === 'msgpack')![1];
      return [
        `A message of ${(large.bytes / 1e6).toFixed(0)} MB (${machineOf(origin)}):`,
        '',
        markdownTable(['', 'ms', 'GB/s', 'speed against the copy'], rows),
        '',
        `A message of ${(small.bytes / 1000).toFixed(0)} kB takes ${overhead.toFixed(2)} ms by \`msgpack\`: what a message costs beside its bytes.`,
      ].join('\n');
    },
  },
};
