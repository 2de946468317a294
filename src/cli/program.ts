/** The commands and their flags. */
import { Command, Option } from 'commander';
import { FLAGS } from '../config/flags.js';
import { packageVersion } from '../config/version.js';
import { ConfigError } from '../errors.js';
import { VARIANT_NAMES } from '../train/ablate.js';
import type { AblateOptions } from './ablate.js';
import { devicesCommand } from './devices.js';
import { doctorCommand } from './doctor.js';
import { addFlags, addRunFlags, flagLayer, flagNames, layersOf, numberOrText, optionOf, pathOf } from './options.js';
import { writeLines } from './printing.js';
import type { Services } from './services.js';
import { addWeightsCommands } from './weights-commands.js';

const JSON_FLAG = ['--json', 'print JSON, and nothing else, on stdout'] as const;
const CONFIG_FLAG = [
  ...(['--config <file>', 'JSON file with settings; flags beat it, it beats the preset'] as const),
  pathOf('--config'),
] as const;

/**
 * The program. Parsing throws commander's `CommanderError`; nothing exits the process.
 * @param done takes the command's exit code.
 */
export function buildProgram(services: Services, done: (exitCode: number) => void): Command {
  const program = new Command('alexnet-split')
    .description('Trains AlexNet as it was first trained: channels split over two devices.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => writeLines(services.stdout, text),
      writeErr: (text) => writeLines(services.stderr, text),
      outputError: () => {}, // the caller prints the error that is thrown
    });
  /** A command whose action gets itself: its flags are read by name from it. */
  const add = (name: string, description: string, run: (command: Command) => number | Promise<number>) =>
    program
      .command(name)
      .description(description)
      .allowExcessArguments(false)
      // Arguments come first, if there are any, then the options, and last the command.
      .action(async (...given: unknown[]) => done(await run(given.at(-1) as Command)));

  const train = add('train', 'train a net, on two devices or on one', async (command) =>
    (await import('./train.js')).trainCommand(layersOf(command), command.opts(), services),
  );
  addFlags(train, flagNames('net', 'data', 'train'))
    .option(...CONFIG_FLAG)
    .option(
      ...([
        '--resume <auto|folder>',
        "go on from the newest checkpoint of --run, or from a run's folder or checkpoint",
      ] as const),
      pathOf('--resume'),
    )
    .addOption(new Option('--quiet', 'print the last line only').conflicts('json'))
    .option(...JSON_FLAG);

  const ablate = add('ablate', 'train nets with one thing changed, and compare them', async (command) =>
    (await import('./ablate.js')).ablateCommand(layersOf(command), variantsOf(command), services),
  );
  addFlags(ablate, flagNames('net', 'data', 'train'))
    .option(...CONFIG_FLAG)
    .option('--variants <names>', `variants beside the baseline: ${VARIANT_NAMES.join(',')}`, (text) => text.split(','))
    // As it was called at first; npm has a setting of that name, and takes it in silence.
    .addOption(
      new Option('--only <names>')
        .argParser((text) => text.split(','))
        .conflicts('variants')
        .hideHelp(),
    )
    .addOption(new Option('--quiet', "print each run's last line only").conflicts('json'))
    .option(...JSON_FLAG);

  const verify = add('verify', 'compare the split with the reference, step by step', async (command) =>
    (await import('./verify.js')).verifyCommand(layersOf(command), command.opts(), services),
  );
  addFlags(verify, flagNames('net', 'data'))
    .option(...CONFIG_FLAG)
    .option('--steps <n>', 'steps to compare', numberOrText, 10)
    .addOption(
      new Option('--golden <file>', 'compare both with a file of reference values instead')
        .argParser(pathOf('--golden'))
        .conflicts(['steps', ...besideGolden()]),
    )
    .option(...JSON_FLAG);

  const summary = add(
    'summary',
    'print layers, shapes, parameters, multiply-adds and exchanged bytes',
    async (command) => (await import('./summary.js')).summaryCommand(flagLayer(command), command.opts(), services),
  );
  addFlags(summary, flagNames('net')).option(...JSON_FLAG);

  addRunFlags(
    addFlags(
      add('eval', "test a run's weights", async (command) =>
        (await import('./eval.js')).evalCommand(flagLayer(command), command.opts(), services),
      ),
      ['--out', '--data', '--on-bad-image', '--devices', '--placement', '--workers'],
    ),
  )
    .option('--ten-view', 'average ten views of each image: corners, middle, and their mirror images')
    .option(...JSON_FLAG);

  addWeightsCommands(add, services, JSON_FLAG);
  addDataCommands(program, services, done);

  add('devices', 'list the devices that TensorFlow has', (command) => devicesCommand(command.opts(), services)).option(
    ...JSON_FLAG,
  );

  add('doctor', 'print what a report of a fault needs, and what is wrong here', (command) =>
    doctorCommand(command.opts(), services),
  ).option(...JSON_FLAG);

  addFlags(
    add('accept', 'check, in minutes, all that two devices are to show before they train', async (command) =>
      (await import('./accept.js')).acceptCommand(command.opts(), services),
    ),
    ['--devices'],
  )
    .option('--quick', 'with a small net and few steps')
    .option('--out <file>', 'where the report goes, as JSON; else accept-<date>.json', pathOf('--out'));

  add('setup', 'find the TensorFlow library, or fetch it', async () => {
    services.stdout.write(`TensorFlow library: ${await services.ensureLibrary()}\n`);
    return 0;
  });
  return program;
}

/** The options of `ablate`, with its variants as `only`. */
function variantsOf(command: Command): AblateOptions {
  const { variants, ...options } = command.opts();
  return variants === undefined ? options : { ...options, only: variants };
}

/** Flags of `verify` that a file of reference values leaves nothing to do: the net, the images and the rates are its own. */
function besideGolden(): string[] {
  const used = ['devices', 'compile', 'convolutions'];
  const others = FLAGS.filter(({ group, path }) => ['net', 'data'].includes(group) && !used.includes(path));
  return others.filter(({ path }) => !path.startsWith('exchange.')).map((flag) => optionOf(flag).attributeName());
}

/** `data check` and `data prepare`: folders of images, before a training. */
function addDataCommands(program: Command, services: Services, done: (exitCode: number) => void): void {
  const data = program.command('data').description('folders of images: check them, prepare them');
  const add = (name: string, description: string) =>
    data
      .command(name)
      .description(description)
      .argument('<folder>', 'with train and val, or packed', pathOf('the folder'))
      .allowExcessArguments(false)
      .option('--resize <pixels>', 'height and width that images are brought to, data.resize', numberOrText, 256);
  add('check', 'read every image, and report those that cannot be read')
    .option('--report <file>', 'where the report goes, as JSON', pathOf('--report'), 'data-check.json')
    .option(...JSON_FLAG)
    .action(async (folder: string, flags) =>
      done(await (await import('./data.js')).dataCheck(folder, flags, services)),
    );
  add('prepare', 'compute the mean image and the colours, and pack the images into shards')
    .option('--pack <folder>', 'where shards go; without it nothing is packed', pathOf('--pack'))
    .option('--shard-size <MiB>', 'size of a shard', numberOrText, 512)
    .addOption(
      new Option('--on-bad-image <what>', 'when an image cannot be read').choices(['fail', 'skip']).default('fail'),
    )
    .action(async (folder: string, flags, command: Command) => {
      if (flags.pack === undefined && command.getOptionValueSource('shardSize') === 'cli') {
        throw new ConfigError('Cannot use --shard-size: it has no effect without --pack; leave it out, or add --pack');
      }
      done(await (await import('./data.js')).dataPrepare(folder, flags, services));
    });
}
