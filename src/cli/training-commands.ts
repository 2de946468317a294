/** The commands that train or show a net, and their flags. */
import { type Command, Option } from 'commander';
import { FLAGS, HEADINGS } from '../config/flags.js';
import { VARIANT_NAMES } from '../train/ablate.js';
import { assignmentsOf, seedsOf } from './ablate-options.js';
import {
  type Add,
  addFlags,
  clusterOption,
  configOption,
  flagNames,
  JSON_FLAG,
  listOf,
  numberOf,
  optionOf,
  pathOf,
  shareOf,
  wholeNumberOf,
} from './options.js';

export function addTrainingCommands(add: Add): void {
  const train = add('train', 'train a net, on two devices or on one', () => import('./train.js'));
  addConfigOptions(addFlags(train, flagNames('net', 'data', 'train'))).addOption(
    new Option('--resume <which>', 'auto (newest checkpoint of --run), a run or a checkpoint')
      .argParser(pathOf('--resume'))
      .helpGroup(HEADINGS.checkpoints),
  );
  train.addOption(
    new Option('--dry-run', 'do everything up to the first step, say what would be trained, and write nothing')
      .conflicts('printConfig')
      .helpGroup(HEADINGS.run),
  );
  addOutputOptions(train, 'print the last line only', 'print the events as lines of JSON, and nothing else on stdout');

  const ablate = add('ablate', 'train variants of a net, and compare them', () => import('./ablate.js'));
  addConfigOptions(addFlags(ablate, flagNames('net', 'data', 'train')))
    .addOption(
      new Option('--variants <names>', `variants to train after the baseline: ${VARIANT_NAMES.join(', ')}`)
        .argParser(listOf)
        .default(undefined, 'all that differ from the baseline')
        .helpGroup(HEADINGS.run),
    )
    .addOption(
      new Option(
        '--seeds <n|list>',
        'how many seeds to train each variant with, from --seed up, or a list: 1,2,7 or 4-6',
      )
        .argParser(seedsOf)
        .default(undefined, 'one, or those of the ablation that is resumed')
        .helpGroup(HEADINGS.run),
    )
    .addOption(
      new Option('--set <variant.setting=value>', 'a setting of one variant, such as tanh.lr=0.005; may be repeated')
        .argParser(assignmentsOf)
        .helpGroup(HEADINGS.run),
    )
    .addOption(
      new Option('--until-error <share>', 'compare also when the training error first fell to this share, such as 0.25')
        .argParser(shareOf('--until-error'))
        .default(undefined, 'not compared')
        .helpGroup(HEADINGS.run),
    )
    .addOption(
      new Option('--speed', 'measure how fast each variant trains, apart from the trainings').helpGroup(HEADINGS.run),
    )
    // The former name. npm has a setting `only`, and takes the flag silently.
    .addOption(new Option('--only <names>').argParser(listOf).conflicts('variants').hideHelp());
  addOutputOptions(ablate, "print each run's last line only", JSON_FLAG[1]);

  const verify = add('verify', 'compare the split with the reference, step by step', () => import('./verify.js'));
  addConfigOptions(addFlags(verify, flagNames('net', 'data')))
    .addOption(
      new Option('--steps <steps>', 'steps to compare')
        .argParser(wholeNumberOf('--steps', 1, 10_000))
        .default(10)
        .helpGroup(HEADINGS.run),
    )
    .addOption(new Option('--all', 'print every tensor, not the worst of each kind').helpGroup(HEADINGS.run))
    .addOption(
      new Option('--golden <file>', 'compare both with a file of reference values')
        .argParser(pathOf('--golden'))
        .conflicts(['steps', 'all', 'printConfig', ...replacedByGolden()])
        .helpGroup(HEADINGS.run),
    )
    .option(...JSON_FLAG);

  const summary = add(
    'summary',
    "show the layers, parameters and exchanged bytes of a preset's net, or of a table at full size",
    () => import('./summary.js'),
  );
  addFlags(summary, flagNames('net')).option(...JSON_FLAG);
  addPlan(add);
}

/** The settings of a run that `plan --data` takes beside those of its net. */
const OF_A_RUN = [
  ...['--data', '--limit', '--val-share', '--resize', '--on-bad-image', '--workers', '--steps', '--epochs'],
  ...['--eval-every', '--keep', '--out'],
];

function addPlan(add: Add): void {
  const plan = add(
    'plan',
    'predict how long a step takes on devices, links and replicas; with --data a whole run on this machine',
    () => import('./plan.js'),
  );
  const own = flagNames('net').filter((name) => !['--servers', '--coordinator'].includes(name)); // nobody is connected
  addFlags(plan, [...own, '--placement', '--replicas', '--average', '--exchange', '--exchange-dtype', ...OF_A_RUN])
    .addOption(
      new Option('--seconds <seconds>', 'with --data: measure reading, decoding and training for about so long')
        .argParser(numberOf('--seconds'))
        .default(undefined, '60'),
    )
    .addOption(
      new Option('--link-gbps <Gbit/s>', 'rate of the network between machines, in each direction').argParser(
        numberOf('--link-gbps'),
      ),
    )
    .addOption(
      new Option('--link-ms <ms>', 'delay of the network: there and back')
        .argParser(numberOf('--link-ms', 0))
        .default(0.2),
    )
    .addOption(
      new Option('--rates <file>', 'JSON file of rates: is read, or measured and written if it does not exist')
        .argParser(pathOf('--rates'))
        .conflicts('gflops')
        .default(undefined, 'this machine is measured'),
    )
    .addOption(
      new Option('--gflops <GFLOP/s>', 'assume devices that reach this rate, instead of measuring').argParser(
        numberOf('--gflops'),
      ),
    )
    .addOption(
      new Option(
        '--one-weird-trick',
        'with --placement single: split the dense layers over all devices (Krizhevsky 2014); this program only predicts it',
      ),
    )
    .option(...JSON_FLAG);
}

function addConfigOptions(command: Command): Command {
  const printing = new Option('--print-config', 'print the settings as JSON for --config, and do nothing else');
  return command.addOption(configOption()).addOption(clusterOption()).addOption(printing.helpGroup(HEADINGS.run));
}

function addOutputOptions(command: Command, quiet: string, json: string): void {
  command
    .addOption(new Option('--quiet', quiet).conflicts('json').helpGroup(HEADINGS.logs))
    .addOption(new Option(JSON_FLAG[0], json).helpGroup(HEADINGS.logs));
}

/** The flags of `verify` that have no effect with a file of reference values, which has its own net, images and rates. */
function replacedByGolden(): string[] {
  const used = ['devices', 'servers', 'coordinator', 'compile', 'convolutions'];
  const others = FLAGS.filter(({ group, path }) => group !== 'train' && !used.includes(path));
  return others.filter(({ path }) => !path.startsWith('exchange.')).map((flag) => optionOf(flag).attributeName());
}
