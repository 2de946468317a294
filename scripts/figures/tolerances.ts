/** The tolerances of the reference files, as they are in the files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_TOLERANCE } from '../../src/train/golden.js';
import { ROOT } from './tools/commands.js';
import type { Computed } from './tools/figure.js';
import { markdownTable } from './tools/markdown.js';

type Tolerance = typeof DEFAULT_TOLERANCE;

export const tolerances: Computed = {
  name: 'tolerances',
  blocks: {
    tolerances() {
      const pair = ({ norm, element }: { norm: number; element: number }) => `${text(norm)}, ${text(element)}`;
      const row = (name: string, { loss, layers, gradients, after }: Tolerance) => {
        return [name, text(loss), pair(layers), pair(gradients), pair(after)];
      };
      const files = ['original', 'paper', 'd2l'].map((name) => {
        const file = join(ROOT, 'test', 'fixtures', 'goldens', `${name}.json`);
        return row(`\`${name}\``, (JSON.parse(readFileSync(file, 'utf8')) as { tolerance: Tolerance }).tolerance);
      });
      return markdownTable(
        [
          'file',
          'loss',
          'layers: norm, element',
          'gradients: norm, element',
          'parameters after the updates: norm, element',
        ],
        [...files, row('without `tolerance`', DEFAULT_TOLERANCE)],
      );
    },
  },
};

const text = (value: number) =>
  value < 0.01 ? Number(value.toPrecision(2)).toExponential() : `${Number(value.toPrecision(2))}`;
