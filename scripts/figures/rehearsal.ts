/** What `plan --data` says against the runs. */
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable, signed } from './tools/markdown.js';

const COMMAND = 'npm run bench -- rehearsal --seconds 20';

interface Rehearsal {
  rounds: number;
  seconds: number;
  /** Of the folder. */
  images: number;
  /** Medians of the rounds, in images per second. `difference` is that of the plan as a share of what was measured. */
  rows: readonly { name: string; limit: string; plannedRate: number; measuredRate: number; difference: number }[];
}

export const rehearsal: Maker<Rehearsal> = {
  name: 'rehearsal',
  minutes: 9,
  commands: [COMMAND],
  async measure({ bench }) {
    const { rounds, seconds, images, rows } = await bench<Rehearsal>(COMMAND);
    return { rounds, seconds, images, rows };
  },
  blocks: {
    rehearsal({ rounds, seconds, images, rows }, origin) {
      const cells = rows.map(({ name, limit, plannedRate, measuredRate, difference }) => [
        name,
        limit,
        plannedRate.toFixed(0),
        measuredRate.toFixed(0),
        `${signed(100 * difference, 0)} %`,
      ]);
      return [
        markdownTable(['setting', 'limit', 'planned, images/s', 'measured, images/s', 'difference'], cells),
        '',
        `Medians of ${rounds} plans of ${seconds} seconds and ${rounds} runs, in turn; ${images} JPEG files of 500×375 pixels. ${machineOf(origin)}.`,
      ].join('\n');
    },
  },
};
