/** How far both sides are from the reference files, and what rounding to float16 changes. */
import { ROOT } from './tools/commands.js';
import type { Maker } from './tools/figure.js';
import { markdownTable } from './tools/markdown.js';
import type { Runner } from './tools/runner.js';

const FILES = ['original', 'paper', 'd2l'];
const WAYS: Record<string, string> = {
  '': 'towers',
  ' --convolutions direct': 'towers, `--convolutions direct`',
  ' --exchange-dtype float16': 'towers, `--exchange-dtype float16`',
};
const lineOf = (file: string, flags: string) => `npm run verify -- --golden test/fixtures/goldens/${file}.json${flags}`;

/** The largest differences over the files, by kind. */
interface Row {
  side: string;
  worst: Record<string, number>;
}

export const referenceValues: Maker<{ rows: Row[] }> = {
  name: 'reference-values',
  minutes: 3,
  commands: FILES.flatMap((file) => Object.keys(WAYS).map((flags) => lineOf(file, flags))),
  async measure({ run }) {
    const rows = new Map<string, Row['worst']>([['reference', {}]]);
    for (const [flags, side] of Object.entries(WAYS)) {
      const own: Row['worst'] = {};
      for (const file of FILES) {
        for (const each of await jsonOf(run, lineOf(file, flags))) {
          const worst = each.side === 'reference' ? rows.get('reference')! : own;
          worst[each.kind] = Math.max(worst[each.kind] ?? 0, each.worst);
        }
      }
      rows.set(side, own);
    }
    return { rows: [...rows].map(([side, worst]) => ({ side, worst })) };
  },
  blocks: {
    'reference-values'({ rows }) {
      const kinds = Object.keys(rows[0]!.worst);
      const cells = rows.map(({ side, worst }) => [side, ...kinds.map((kind) => worst[kind]!.toExponential(0))]);
      return markdownTable(['', ...kinds], cells);
    },
  },
};

interface Compared {
  side: string;
  kind: string;
  worst: number;
}

async function jsonOf(run: Runner['run'], line: string): Promise<Compared[]> {
  const { printed } = await run(line, ['--json'], { cwd: ROOT });
  return (JSON.parse(printed.split('\n').find((each) => each.startsWith('{'))!) as { rows: Compared[] }).rows;
}
