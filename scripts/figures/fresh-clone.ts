/** What `npm run train:split` prints in a fresh clone, and how long it takes to the page of the report. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eachLine } from '../trainer.js';
import { ROOT } from './tools/commands.js';
import type { Maker } from './tools/figure.js';
import { counted, fenced } from './tools/markdown.js';

interface Result {
  lines: string[];
  /** Up to the line that says that packages are there and compiled, that the library is there, that training is done. */
  seconds: { setUp: number; library: number; training: number; report: number };
}

const [TRAIN, REPORT] = ['npm run train:split', 'npm run report'] as const;

export const freshClone: Maker<Result> = {
  name: 'fresh-clone',
  minutes: 2,
  commands: [TRAIN, REPORT],
  needs: 'a network, for the packages and the library',
  async measure({ folder }) {
    const clone = join(folder, 'clone');
    execFileSync('git', ['clone', '--quiet', ROOT, clone]);
    const cache = join(folder, 'cache');
    const started = performance.now();
    const training = await linesOf(TRAIN, clone, cache);
    const trained = performance.now();
    await linesOf(REPORT, clone, cache);
    const at = (begin: string) => training.find(({ text }) => text.startsWith(begin))!.seconds;
    const [fetching, library] = [at('fetching tensorflow'), at('TensorFlow ')];
    return {
      lines: shown(training.map(({ text }) => text.replaceAll(cache, '~/.cache/alexnet-split'))),
      seconds: {
        setUp: fetching,
        library: library - fetching,
        training: (trained - started) / 1000 - library,
        report: (performance.now() - trained) / 1000,
      },
    };
  },
  blocks: {
    output: ({ lines }) => fenced(...lines),
    time: ({ seconds: { setUp, library, training, report } }, { cores }) => {
      const whole = (seconds: number) => counted(Math.max(1, Math.round(seconds)), 'second');
      return `On ${cores} processor cores without a GPU the training above takes ${whole(training)}, and its report ${whole(report)}. Before that, the first start of a clone takes ${whole(setUp)} to install and compile, and ${whole(library)} to fetch the library; these two depend on the network.`;
    },
  },
};

/** Both outputs of a command by line, each with its time since the start. */
async function linesOf(line: string, cwd: string, cache: string): Promise<{ text: string; seconds: number }[]> {
  const env = { ...process.env, ALEXNET_SPLIT_CACHE: cache, CUDA_VISIBLE_DEVICES: '-1' };
  const silent = line.replace('npm run', 'npm run --silent');
  const started = performance.now();
  const child = spawn('sh', ['-c', `exec ${silent} 2>&1`], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: { text: string; seconds: number }[] = [];
  eachLine(child.stdout, (text) => lines.push({ text, seconds: (performance.now() - started) / 1000 }));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${line} ended with ${code}: ${lines.at(-1)?.text}`);
  return lines;
}

/** The first three steps, the first and the last evaluation, and all lines before and after. */
function shown(lines: readonly string[]): string[] {
  const isStep = (text: string) => /^step +\d/.test(text);
  const steps = lines.flatMap((text, i) => (isStep(text) ? [i] : []));
  const evals = lines.flatMap((text, i) => (text.startsWith('eval ') ? [i] : []));
  const start = lines.slice(0, steps[2]! + 1);
  return [...start, '…', lines[evals[0]!]!, '…', ...lines.slice(evals.at(-1)!)];
}
