/** Where the time of a step goes, by kind of layer. */
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable, percent } from './tools/markdown.js';

const COMMAND = 'npm run bench -- layers --rounds 5';

interface Row {
  layer: string;
  forward: number;
  backward: number;
}

/** By what the names of layers begin with. */
const KINDS: Record<string, RegExp> = {
  convolutions: /^conv/,
  'dense layers': /^fc/,
  normalization: /norm/i,
  'activation functions': /^relu/,
  pooling: /^pool/,
  dropout: /^drop/,
};

export const layers: Maker<{ rows: Row[] }> = {
  name: 'layers',
  minutes: 1,
  commands: [COMMAND],
  async measure({ bench }) {
    return { rows: (await bench<{ rows: Row[] }>(COMMAND)).rows };
  },
  blocks: {
    layers({ rows }, origin) {
      const timeOf = (some: readonly Row[], of: (row: Row) => number) =>
        some.reduce((total, row) => total + of(row), 0);
      const all = timeOf(rows, ({ forward, backward }) => forward + backward);
      const lines = Object.entries(KINDS).map(([kind, name]) => {
        const own = rows.filter(({ layer }) => name.test(layer));
        const [forward, backward] = [timeOf(own, (row) => row.forward), timeOf(own, (row) => row.backward)];
        return [kind, forward.toFixed(1), backward.toFixed(1), percent((forward + backward) / all)];
      });
      return `${machineOf(origin)}:\n\n${markdownTable(['', 'forward, ms', 'backward, ms', 'share'], lines)}`;
    },
  },
};
