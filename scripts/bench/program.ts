/** The benchmarks' command line. Timings belong here, never in a test. */
import { Command, Option } from 'commander';
import { listDevices } from '../../src/native/c/context.js';
import { benchData, benchFiles } from './data.js';
import { benchExchange } from './exchange.js';
import { benchLayers } from './layers.js';
import { benchLogs } from './logs.js';
import { benchPlan, type PlanBench } from './plan.js';
import { kindsOf } from './pytorch.js';
import { benchRehearsal } from './rehearsal.js';
import { benchReplicas } from './replicas.js';
import { benchRuns } from './runs.js';
import { benchMemory, benchStep } from './step.js';
import { benchTrace } from './trace.js';

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
  placement: string;
  preset: 'mini' | 'fashion' | 'tutorial';
  files?: number;
  save?: string;
}

export const program = new Command('bench').description('Benchmarks. All variants of a benchmark run in turn.');

function add(name: string, description: string, run: (flags: Flags) => Promise<void>): Command {
  return program
    .command(name)
    .description(description)
    .option('--rounds <n>', 'rounds that count', Number, 10)
    .option('--save <file>', 'write the result as JSON')
    .action(async (flags: Flags) => {
      // TensorFlow reads the variable when its context is made, which listDevices() does.
      if (flags.threads) process.env.TF_NUM_INTRAOP_THREADS = String(flags.threads);
      listDevices();
      await run(flags);
    });
}

function withNet(command: Command, width: number, pixels: number, batch: number): Command {
  return command
    .option('--net <table>', 'the net', 'paper')
    .option('--width <factor>', 'factor on kernels and units', Number, width)
    .option('--pixels <n>', 'input size', Number, pixels)
    .option('--classes <n>', 'classes', Number, 1000)
    .option('--batch <images>', 'images per step', Number, batch);
}

function withVariants(command: Command, variants: string[], burst: number, threads?: number): Command {
  const parse = (text: string) => {
    const names = text.split(',');
    kindsOf(names); // throws for an unknown name before anything has started
    return names;
  };
  return command
    .option('--variants <list>', 'what to compare', parse, variants)
    .option('--burst <steps>', 'steps of each variant per round', Number, burst)
    .option('--threads <n>', 'threads for one op, also of PyTorch', Number, threads);
}

const settingsOf = ({ net, width, pixels, classes, batch }: Flags) => ({ table: net, width, pixels, classes, batch });
const steps = (flags: Flags) => {
  const { variants, rounds, burst, threads, save } = flags;
  return benchStep({ ...settingsOf(flags), variants, rounds, burst, threads, save });
};

const step = add(
  'step',
  'training steps: placement/compile/ops/transport@threads, and pytorch/eager, compile, expert, expert-compile',
  steps,
);
withVariants(
  withNet(step, 1, 224, 32),
  [
    ...['pytorch/eager', 'pytorch/compile', 'pytorch/expert', 'pytorch/expert-compile'],
    ...['single/on', 'split/on', 'single/off', 'single/off/tfjs'],
  ],
  5,
);
const host = add('host', 'time of the host: steps of a net with almost nothing to compute', steps);
// With more than one thread, most of the time would be spent on waking threads for tiny ops.
withVariants(withNet(host, 0.02, 67, 1), ['pytorch/eager', 'single/off/tfjs', 'single/off', 'single/on'], 20, 1);
const layers = add('layers', 'forward and backward pass by layer, of one tower', (flags) =>
  benchLayers(settingsOf(flags), flags.rounds, flags.save),
);
withNet(layers, 1, 224, 32);
const memory = add('memory', 'memory over many steps of a split net; a round has 100 steps', (flags) =>
  benchMemory(settingsOf(flags), 100 * flags.rounds, flags.save),
);
withNet(memory, 0.25, 67, 64);
const trace = add('trace', 'steps of a run with --trace-steps against those of a run without', (flags) =>
  benchTrace(settingsOf(flags), flags.rounds, flags.burst, flags.save),
);
withNet(trace, 0.25, 67, 64).option('--burst <steps>', 'steps of each variant per round', Number, 5);
const replicas = add(
  'replicas',
  'steps of K pairs (or whole nets): K, K/collective, or 1*K with a larger batch',
  (flags) => benchReplicas({ ...settingsOf(flags), ...flags }),
);
withNet(replicas, 0.25, 67, 32)
  .option('--placement <placement>', 'split or single', 'split')
  .option('--variants <list>', 'what to compare', (text: string) => text.split(','), [
    '1',
    '1*2',
    '2',
    '2/collective',
    '3',
  ])
  .option('--burst <steps>', 'steps of each variant per round', Number, 5);
add('exchange', 'bytes per second by size and transport', ({ rounds, save }) => benchExchange(rounds, save));
add('data', 'images per second by number of threads', ({ preset, files, rounds, save }) =>
  files === undefined ? benchData(preset, rounds, save) : benchFiles(files, rounds, save),
)
  .option('--preset <name>', 'mini, fashion or tutorial: images in memory', 'mini')
  .option('--files <images>', 'write that many JPEG files, and decode them', Number);

program
  .command('report')
  .description('reports of a log of 10,000 and of 1,000,000 lines: time and memory')
  .option('--rounds <n>', 'rounds that count', Number, 3)
  .option('--save <file>', 'write the result as JSON')
  .action(({ rounds, save }: { rounds: number; save?: string }) => benchLogs(rounds, save));

program
  .command('plan')
  .description('what plan predicts against measured steps, on this machine and on servers in namespaces')
  .option('--rounds <n>', 'rounds that count', Number, 3)
  .addOption(new Option('--where <where>', 'which settings').choices(['local', 'remote', 'all']).default('all'))
  .option('--save <file>', 'write the result as JSON')
  .action(({ rounds, where, save: name }: { rounds: number; where: PlanBench['where']; save?: string }) =>
    benchPlan({ rounds, where, name }),
  );

program
  .command('rehearsal')
  .description('what plan --data says against the runs')
  .option('--rounds <n>', 'rounds that count', Number, 3)
  .option('--seconds <n>', 'of each measurement and run', Number, 30)
  .option('--save <file>', 'write the result as JSON')
  .action(({ rounds, seconds, save: name }: { rounds: number; seconds: number; save?: string }) =>
    benchRehearsal(rounds, seconds, name),
  );

program
  .command('runs')
  .description('accuracy of finished runs by epoch')
  .argument('<folders...>', 'folders of the runs')
  .option('--save <file>', 'write the result as JSON')
  .action((folders: string[], { save }: { save?: string }) => benchRuns(folders, save));
