/** `npm run bench -- step|layers|exchange|host|memory|data|runs`: see `--help`. Timings belong here, never in a test. */
import { Command } from 'commander';
import { listDevices } from '../../src/native/c/context.js';
import { benchData } from './data.js';
import { benchExchange } from './exchange.js';
import { benchFiles } from './files.js';
import { benchLayers } from './layers.js';
import { benchMemory } from './memory.js';
import { kindsOf } from './pytorch.js';
import { benchRuns } from './runs.js';
import { benchStep } from './step.js';

interface Flags {
  net: string;
  width: number;
  pixels: number;
  classes: number;
  batch: number;
  rounds: number;
  threads?: number;
  burst: number;
  variants: string[];
  preset: 'mini' | 'fashion' | 'tutorial';
  files?: number;
  save?: string;
}

const program = new Command('bench').description('Benchmarks: all that is compared runs in turn.');

function add(name: string, description: string, run: (flags: Flags) => Promise<void>): Command {
  return program
    .command(name)
    .description(description)
    .option('--rounds <n>', 'rounds that count', Number, 10)
    .option('--save <name>', 'write benchmarks/<name>.json')
    .action(async (flags: Flags) => {
      // TensorFlow reads it when the context is made.
      if (flags.threads) process.env.TF_NUM_INTRAOP_THREADS = String(flags.threads);
      listDevices(); // makes the process's context
      await run(flags);
    });
}

function withNet(command: Command, width: number, pixels: number, batch: number): Command {
  return command
    .option('--net <table>', 'the net', 'paper')
    .option('--width <factor>', 'factor on kernels and units', Number, width)
    .option('--pixels <n>', 'input size', Number, pixels)
    .option('--classes <n>', 'classes', Number, 1000)
    .option('--batch <images>', 'images a step', Number, batch);
}

const list = (text: string) => {
  const names = text.split(',');
  kindsOf(names); // before all the others have started
  return names;
};
const settingsOf = ({ net, width, pixels, classes, batch }: Flags) => ({ table: net, width, pixels, classes, batch });
const stepsOf = (flags: Flags) => {
  const { variants, rounds, burst, threads, save } = flags;
  return benchStep({ ...settingsOf(flags), variants, rounds, burst, threads, save });
};
const BURST = ['steps of each in its turn', Number] as const;
const THREADS = ["threads for one op, ours and PyTorch's", Number] as const;

withNet(
  add(
    'step',
    'training steps: placement/compile/ops/transport@threads, and pytorch/eager, compile, expert, expert-compile',
    (flags) => stepsOf(flags),
  ),
  ...([1, 224, 32] as const),
)
  .option('--threads <n>', ...THREADS)
  .option('--burst <steps>', ...BURST, 5)
  .option('--variants <list>', 'what to compare', list, [
    ...['pytorch/eager', 'pytorch/compile', 'pytorch/expert', 'pytorch/expert-compile'],
    ...['single/on', 'split/on', 'single/off', 'single/off/tfjs'],
  ]);
withNet(
  add('host', "the host's own time: steps of a net that computes next to nothing", (flags) => stepsOf(flags)),
  ...([0.02, 67, 1] as const),
)
  // With more, most of the time is theirs: they are woken for ops that are done before.
  .option('--threads <n>', ...THREADS, 1)
  .option('--burst <steps>', ...BURST, 20)
  .option('--variants <list>', 'what to compare', list, [
    'pytorch/eager',
    'single/off/tfjs',
    'single/off',
    'single/on',
  ]);
withNet(
  add('layers', 'forward and backward by layer, of one tower', (flags) =>
    benchLayers(settingsOf(flags), flags.rounds, flags.save),
  ),
  ...([1, 224, 32] as const),
);
withNet(
  add('memory', 'memory over many steps of a split; rounds are hundreds of steps', (flags) =>
    benchMemory(settingsOf(flags), 100 * flags.rounds, 200, flags.save),
  ),
  ...([0.25, 67, 64] as const),
);
add('exchange', 'bytes per second by size and transport', ({ rounds, save }) => benchExchange(rounds, save));
add('data', 'images per second by number of threads', ({ preset, files, rounds, save }) =>
  files === undefined ? benchData(preset, rounds, save) : benchFiles(files, rounds, save),
)
  .option('--preset <name>', 'mini, fashion or tutorial: images in memory', 'mini')
  .option('--files <images>', 'make that many JPEG files, and decode them', Number);

program
  .command('runs')
  .description('accuracy by epoch of runs that are there')
  .argument('<folders...>', "the runs' folders")
  .option('--save <name>', 'write benchmarks/<name>.json')
  .action((folders: string[], { save }: { save?: string }) => benchRuns(folders, save));

await program.parseAsync();
