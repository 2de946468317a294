/** What `eval`, `predict` and `kernels` print about a short training. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { loadDataset } from '../../src/data/index.js';
import { ROOT } from './tools/commands.js';
import type { Maker } from './tools/figure.js';
import { fenced } from './tools/markdown.js';

const TRAIN = 'npm run train:split -- --preset mini --epochs 3 --run mini3';
const EVAL = 'npm run eval -- --run mini3';
const TEN_VIEWS = 'npm run eval -- --run mini3 --ten-view';
const PREDICT = 'npm run predict -- --run mini3 --top 3 test-0.png test-1.png trunc.jpg';
const KERNELS = 'npm run kernels -- --run mini3';

interface Result {
  evaluations: string[];
  predictions: string[];
  kernels: string[];
}

export const evaluation: Maker<Result> = {
  name: 'evaluation',
  minutes: 0.7,
  commands: [TRAIN, EVAL, TEN_VIEWS, PREDICT, KERNELS],
  async measure({ folder, train, run }) {
    await train(TRAIN, 'mini3');
    await writeTestImages(folder);
    const linesOf = async (line: string, mayFail = false) => {
      const { printed } = await run(line, [], { mayFail });
      return printed.trim().split('\n');
    };
    return {
      evaluations: [...(await linesOf(EVAL)), ...(await linesOf(TEN_VIEWS))].filter((each) => /^runs/.test(each)),
      predictions: await linesOf(PREDICT, true),
      kernels: await linesOf(KERNELS),
    };
  },
  blocks: {
    evaluations: ({ evaluations }) => fenced(...evaluations),
    predictions: ({ predictions }) => fenced(`$ ${PREDICT}`, ...predictions),
    kernels: ({ kernels }) => fenced(...kernels),
  },
};

/** The first two test images of the built-in sample, and a damaged file. */
async function writeTestImages(folder: string): Promise<void> {
  const { test, height, width } = loadDataset('embedded', 10);
  for (const i of [0, 1]) {
    const pixels = test.images.subarray(i * height * width, (i + 1) * height * width);
    await sharp(pixels, { raw: { width, height, channels: 1 } }).toFile(join(folder, `test-${i}.png`));
  }
  copyFileSync(join(ROOT, 'test', 'fixtures', 'images', 'trunc.jpg'), join(folder, 'trunc.jpg'));
}
