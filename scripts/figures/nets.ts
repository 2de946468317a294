/** What the pages say about the sizes of the nets: computed from their tables. */
import { PRESETS } from '../../src/config/presets.js';
import { buildNet } from '../../src/model/net.js';
import { summarize, totalsOf } from '../../src/model/summary.js';
import { TABLES } from '../../src/model/tables.js';
import type { Computed } from './tools/figure.js';
import { markdownTable } from './tools/markdown.js';

const BATCH = 128;

function totals(options: Parameters<typeof buildNet>[0]) {
  const { parameters, multiplyAdds, sentBytes } = totalsOf(summarize(buildNet(options), BATCH));
  const sum = ([a, b]: readonly [number, number]) => a + b;
  return { parameters: sum(parameters), multiplyAdds: sum(multiplyAdds), sentBytes: Math.max(...sentBytes) };
}

const { inputSize, inputChannels, classes } = TABLES.original;
const original = () =>
  totals({ table: 'original', width: 1, inputSize, inputChannels, classes, init: 'table', dropout: true });

export const nets: Computed = {
  name: 'nets',
  blocks: {
    tutorial() {
      const both = [totals(PRESETS.lenet.net), totals(PRESETS.tutorial.net)];
      return markdownTable(
        ['', '`lenet`', '`tutorial`'],
        [
          ['input', '28×28, grey', '224×224, grey'],
          [
            'convolutions',
            '6 and 16 kernels of 5×5',
            '96 of 11×11 every 4 pixels, 256 of 5×5, 384, 384 and 256 of 3×3',
          ],
          ['pooling', 'average, 2×2', 'max, 3×3 every 2 pixels: the windows overlap'],
          ['dense layers', '120, 84', '4096, 4096, with dropout of one half'],
          ['activation function', 'sigmoid', 'ReLU'],
          ['parameters', ...both.map((each) => each.parameters.toLocaleString('en-US'))],
          ['multiply-adds per image', ...both.map((each) => each.multiplyAdds.toLocaleString('en-US'))],
        ],
      );
    },
    sent() {
      const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
      const [own, other] = [totals(PRESETS.tutorial.net).sentBytes, original().sentBytes];
      return `Both can be split over two devices, like the net of 2012. Tutorials use no grouped convolutions, so every layer except the first reads both towers. Each tower therefore sends ${megabytes(own)} MB in a step of ${BATCH} images; in the net of 2012 (\`original\`) it sends ${megabytes(other)} MB.`;
    },
    scaling() {
      const { parameters, sentBytes } = original();
      const activations = (sentBytes / BATCH / 1e6).toFixed(2);
      return `Model parallelism sends activations, which grow with the batch. Data parallelism sends gradients, which do not: each tower of \`original\` sends ${activations} MB of activations and gradients for each image, and a whole net has ${((4 * parameters) / 1e6).toFixed(0)} MB of gradients. So for the same number of images in a step, images/s at 10 Gbit/s are:`;
    },
  },
};
