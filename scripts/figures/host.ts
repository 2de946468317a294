/** The overhead of the host: steps of a net with almost nothing to compute. */
import { type Speed, speedsOf, type Timings } from './tools/bench.js';
import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';

const COMMAND = 'npm run bench -- host';

export const host: Maker<{ speeds: Speed[]; pytorch?: string }> = {
  name: 'host',
  minutes: 1,
  commands: [COMMAND],
  async measure({ bench }) {
    const saved = await bench<Timings & { pytorch?: string }>(COMMAND);
    return { speeds: speedsOf(saved), ...(saved.pytorch !== undefined && { pytorch: saved.pytorch }) };
  },
  blocks: {
    host({ speeds, pytorch }, origin) {
      const ms = (name: string) => speeds.find((each) => each.name === name)?.ms;
      const rows = speeds.map(({ name, ms }) => [name, ms.toFixed(1)]);
      const [compiled, byOp, eager] = [ms('single/on')!, ms('single/off')!, ms('pytorch eager')];
      const beside =
        eager === undefined ? '' : ` PyTorch's eager step takes ${(eager / compiled).toFixed(1)} times as long.`;
      const version = pytorch === undefined ? '' : `, PyTorch ${pytorch}`;
      return [
        `${machineOf(origin)}${version}:`,
        '',
        markdownTable(['', 'ms per step'], rows),
        '',
        `A step op by op takes ${(byOp / compiled).toFixed(1)} times as long as a compiled one.${beside}`,
      ].join('\n');
    },
  },
};
