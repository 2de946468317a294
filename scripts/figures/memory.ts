/** The memory of a training of the whole net. */

import type { Maker } from './tools/figure.js';
import { machineOf, markdownTable } from './tools/markdown.js';
import { of } from './tools/runner.js';

const COMMON = 'npm run train:split -- --preset fashion --data embedded --batch-size 32 --steps 4';
const PLAIN = `${COMMON} --no-check --run plain`;
const CHECKED = `${COMMON} --run checked`;

interface Result {
  plainBytes: number;
  checkedBytes: number;
  testImages: number;
}

export const memory: Maker<Result> = {
  name: 'memory',
  minutes: 1,
  commands: [PLAIN, CHECKED],
  async measure({ run, train }) {
    const [plain, checked] = [await run(PLAIN, ['--quiet']), await run(CHECKED, ['--quiet'])];
    const [evaluation] = of(await train(PLAIN, 'plain'), 'eval');
    return { plainBytes: plain.peakBytes, checkedBytes: checked.peakBytes, testImages: evaluation!.images };
  },
  blocks: {
    memory({ plainBytes, checkedBytes, testImages }, origin) {
      const rows = [
        ['training and evaluation (`--no-check`)', (plainBytes / 1e9).toFixed(2)],
        ['the same, with the check before the first step', (checkedBytes / 1e9).toFixed(2)],
      ];
      const what = `\`--preset fashion --batch-size 32\`, an evaluation of ${testImages.toLocaleString('en-US')} images`;
      return `${what} (${machineOf(origin)}):\n\n${markdownTable(['', 'largest resident memory, GB'], rows)}`;
    },
  },
};
