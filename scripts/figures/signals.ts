/** How much of the images is left at the last layer before training, and what the training comes to. */
import type { Maker } from './tools/figure.js';
import { markdownTable } from './tools/markdown.js';
import { of } from './tools/runner.js';

const LINE = 'npm run train:split -- --data embedded --no-check';
const NARROW = '--width 0.25 --input-size 67 --resize 74 --batch-size 32';

/** The net as the page names it, the images of a step, and the command. With one step nothing is trained. */
const ROWS: readonly { net: string; batch: number; line: string }[] = [
  { net: '`mini`, tanh', batch: 64, line: `${LINE} --preset mini --activation tanh --steps 100` },
  { net: '`mini`', batch: 64, line: `${LINE} --preset mini --steps 100` },
  { net: '`imagenet`, full width', batch: 16, line: `${LINE} --preset imagenet --batch-size 16 --steps 1` },
  { net: '`imagenet-paper`, full width', batch: 16, line: `${LINE} --preset imagenet-paper --batch-size 16 --steps 1` },
  {
    ...{ net: '`tutorial`, width 0.125 on 67 pixels', batch: 32 },
    line: `${LINE} --preset tutorial --width 0.125 --input-size 67 --resize 67 --batch-size 32 --steps 300`,
  },
  { net: '`lenet`', batch: 32, line: `${LINE} --preset lenet --batch-size 32 --steps 1000` },
  { net: '`fashion`, width 0.25 on 67 pixels', batch: 32, line: `${LINE} --preset fashion ${NARROW} --steps 300` },
  { net: '`imagenet`, width 0.25 on 67 pixels', batch: 32, line: `${LINE} --preset imagenet ${NARROW} --steps 300` },
  { net: '`mini`, sigmoid', batch: 64, line: `${LINE} --preset mini --activation sigmoid --steps 1000` },
  {
    ...{ net: '`imagenet-paper`, width 0.25 on 67 pixels', batch: 32 },
    line: `${LINE} --preset imagenet-paper ${NARROW} --steps 1000`,
  },
];

interface Row {
  net: string;
  batch: number;
  /** The standard deviation between images in the scores before the first step. */
  signal: number;
  steps: number;
  top1: number;
}

export const signals: Maker<{ rows: Row[] }> = {
  name: 'signals',
  minutes: 3,
  commands: ROWS.map(({ line }) => line),
  async measure({ train }) {
    const rows: Row[] = [];
    for (const [i, { net, batch, line }] of ROWS.entries()) {
      const events = await train(line, `signal-${i}`);
      const [before] = of(events, 'activations');
      const { step: steps, top1 } = of(events, 'eval').at(-1)!;
      rows.push({ net, batch, signal: before!.layers.at(-1)!.signal, steps, top1 });
    }
    return { rows };
  },
  blocks: {
    signals({ rows }) {
      const cells = rows.map(({ net, batch, signal, steps, top1 }) => [
        ...[net, batch, signal.toExponential(1)],
        steps > 1 ? `${top1.toFixed(2)} after ${steps.toLocaleString('en-US')}` : 'not trained here',
      ]);
      return markdownTable(['net', 'batch', 'standard deviation', 'test accuracy after steps'], cells);
    },
  },
};
