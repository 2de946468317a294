/** Several pairs of towers: how near their losses are to those of one pair. */
import type { Maker } from './tools/figure.js';
import { markdownTable } from './tools/markdown.js';
import { of, type Runner } from './tools/runner.js';

const STEPS = 20;
const MINI = `npm run train:split -- --preset mini --data embedded --steps ${STEPS} --no-check`;
const FASHION = `npm run train:split -- --preset fashion --data embedded --width 0.5 --steps ${STEPS} --no-check`;

/** Each row against the baseline above it. */
const ROWS: readonly { net: string; line: string }[] = [
  { net: '`mini`, 96 images', line: `${MINI} --batch-size 96` },
  { net: '`mini`, 96, by 2 pairs', line: `${MINI} --batch-size 48 --replicas 2` },
  { net: '`mini`, 96, by 3 pairs', line: `${MINI} --batch-size 32 --replicas 3` },
  { net: '`fashion --width 0.5`, 24 images', line: `${FASHION} --batch-size 24` },
  { net: '`fashion --width 0.5`, 24, by 2 pairs', line: `${FASHION} --batch-size 12 --replicas 2` },
  { net: '`fashion --width 0.5`, 24, by 3 pairs', line: `${FASHION} --batch-size 8 --replicas 3` },
  { net: 'the same, one pair with `--convolutions direct`', line: `${FASHION} --batch-size 24 --convolutions direct` },
];
const isBaseline = (net: string) => net.endsWith('images');

/** Relative differences of the losses: the largest of the first three steps, and of two later ones. */
interface Drift {
  net: string;
  first: number;
  tenth: number;
  last: number;
}

export const replicaLosses: Maker<{ rows: Drift[] }> = {
  name: 'replica-losses',
  minutes: 2.5,
  commands: ROWS.map(({ line }) => line),
  async measure(runner) {
    const rows: Drift[] = [];
    let baseline: number[] = [];
    for (const [i, { net, line }] of ROWS.entries()) {
      const losses = await lossesOf(runner, line, `losses-${i}`);
      if (isBaseline(net)) baseline = losses;
      else rows.push({ net, ...driftOf(losses, baseline) });
    }
    return { rows };
  },
  blocks: {
    'replica-losses'({ rows }) {
      const text = (value: number) => (value === 0 ? '0' : value.toExponential(0));
      const cells = rows.map(({ net, first, tenth, last }) => [net, text(first), text(tenth), text(last)]);
      return markdownTable(['net, images of a step', 'first 3 steps', 'step 10', `step ${STEPS}`], cells);
    },
  },
};

async function lossesOf({ train }: Runner, line: string, name: string): Promise<number[]> {
  return of(await train(line, name), 'train_step').map(({ loss }) => loss);
}

function driftOf(losses: readonly number[], baseline: readonly number[]): Omit<Drift, 'net'> {
  const differences = losses.map((loss, i) => Math.abs(loss / baseline[i]! - 1));
  return { first: Math.max(...differences.slice(0, 3)), tenth: differences[9]!, last: differences.at(-1)! };
}
