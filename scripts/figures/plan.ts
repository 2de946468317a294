/** Plans against measured steps. */
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';

const COMMAND = 'npm run bench -- plan --rounds 1';

interface Row {
  name: string;
  link: string;
  plannedMs: number;
  measuredMs: number;
  difference: number;
}

interface Saved {
  rounds: number;
  /** The load average at the end: processes that wanted a core. */
  load: number;
  rows: Row[];
}

export const plan: Maker<Saved> = {
  name: 'plan',
  minutes: 4,
  commands: [COMMAND],
  needs: 'network namespaces, for the settings with a link',
  async measure({ bench }) {
    const { rounds, load, rows } = await bench<Saved>(COMMAND);
    return { rounds, load, rows: rows.map(({ name, link, ...each }) => ({ name, link, ...withoutRounds(each) })) };
  },
  blocks: {
    plan({ rounds, load, rows }, origin) {
      const cells = rows.map(({ name, link, plannedMs, measuredMs, difference }) => {
        const sign = difference >= 0 ? '+' : '';
        return [name, link, plannedMs.toFixed(1), measuredMs.toFixed(1), `${sign}${Math.round(100 * difference)} %`];
      });
      const near = rows.filter(({ difference }) => Math.abs(difference) <= 0.15).length;
      return [
        `Of these ${rows.length} settings ${near} are within 15 %.`,
        '',
        `${machineOf(origin)}; rounds: ${rounds}; load average at the end: ${Math.round(load)}.`,
        '',
        markdownTable(['setting', 'link', 'planned, ms', 'measured, ms', 'difference'], cells),
      ].join('\n');
    },
  },
};

function withoutRounds({ plannedMs, measuredMs, difference }: Pick<Row, 'plannedMs' | 'measuredMs' | 'difference'>) {
  return { plannedMs, measuredMs, difference };
}
