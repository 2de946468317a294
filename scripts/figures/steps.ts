/** Training steps of the whole net, beside PyTorch's. */
import { type Speed, speedsOf, type Timings } from './tools/bench.js';
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';

const NAMES: Record<string, string> = { 'split/on/native/device': 'split/on, `--exchange device`' };
const PYTORCH = ['eager', 'expert', 'expert-compile'].map((name) => `pytorch/${name}`).join(',');
const OURS = 'single/on,split/on,split/on/native/device';

const SMALL = `npm run bench -- step --batch 32 --rounds 6 --burst 2 --variants ${PYTORCH},${OURS}`;
const LARGE = `npm run bench -- step --batch 128 --rounds 4 --burst 1 --variants ${PYTORCH},${OURS}`;

interface Result {
  pytorch: string;
  small: Speed[];
  large: Speed[];
}

export const steps: Maker<Result> = {
  name: 'steps',
  minutes: 7,
  commands: [SMALL, LARGE],
  needs: 'PyTorch, in the Python that BENCH_PYTHON names',
  async measure({ bench }) {
    const [small, large] = [
      await bench<Timings & { pytorch?: string }>(SMALL),
      await bench<Timings & { pytorch?: string }>(LARGE),
    ];
    if (small.pytorch === undefined)
      throw new Error('Cannot measure steps: there is no PyTorch; name it by BENCH_PYTHON');
    return { pytorch: small.pytorch, small: speedsOf(small), large: speedsOf(large) };
  },
  blocks: {
    table({ pytorch, small, large }, origin) {
      const cells = (speeds: readonly Speed[], batch: number, name: string) => {
        const speed = speeds.find((each) => each.name === name);
        return speed
          ? [speed.ms.toFixed(0), ((batch / speed.ms) * 1000).toFixed(1), speed.ratio.toFixed(2)]
          : ['', '', ''];
      };
      const rows = small.map(({ name }) => [
        NAMES[name] ?? name,
        ...cells(small, 32, name),
        ...cells(large, 128, name),
      ]);
      const header = ['', 'batch 32: ms', 'images/s', 'against eager', 'batch 128: ms', 'images/s', 'against eager'];
      return `${machineOf(origin)}, PyTorch ${pytorch}:\n\n${markdownTable(header, rows)}`;
    },
    compared({ small, large }) {
      const times = (speeds: readonly Speed[], kind: string) => {
        const ratio = (name: string) => speeds.find((each) => each.name === name)!.ratio;
        return (ratio('split/on/native/device') / ratio(`pytorch ${kind}`)).toFixed(2);
      };
      const of = (speeds: readonly Speed[]) => `${times(speeds, 'expert')} and ${times(speeds, 'expert-compile')}`;
      return `Compared with the expert's PyTorch, eager and compiled, the split with \`--exchange device\` is ${of(small)} times as fast at batch 32, and ${of(large)} times at batch 128.`;
    },
  },
};
