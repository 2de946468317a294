/** The commands and their flags. */
import { Command, Option } from 'commander';
import { packageVersion } from '../config/version.js';
import { devicesCommand } from './devices.js';
import { doctorCommand } from './doctor.js';
import { addFlags, flagLayer, flagNames, layersOf, numberOrText } from './options.js';
import type { Services } from './services.js';

const JSON_FLAG = ['--json', 'print JSON, and nothing else, on stdout'] as const;
const CONFIG_FLAG = ['--config <file>', 'JSON file with settings; flags beat it, it beats the preset'] as const;

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
      writeOut: (text) => services.stdout.write(text),
      writeErr: (text) => services.stderr.write(text),
      outputError: () => {}, // the caller prints the error that is thrown
    });
  /** A command whose action gets itself: its flags are read by name from it. */
  const add = (name: string, description: string, run: (command: Command) => number | Promise<number>) =>
    program
      .command(name)
      .description(description)
      .allowExcessArguments(false)
      .action(async (_options, command: Command) => done(await run(command)));

  const train = add('train', 'train a net, on two devices or on one', async (command) =>
    (await import('./train.js')).trainCommand(layersOf(command), command.opts(), services),
  );
  addFlags(train, flagNames('net', 'data', 'train', 'hidden'))
    .option(...CONFIG_FLAG)
    .option('--resume <auto|folder>', "go on from the newest checkpoint of --run, or from a run's folder or checkpoint")
    .addOption(new Option('--quiet', 'print the last line only').conflicts('json'))
    .option(...JSON_FLAG);

  const verify = add('verify', 'compare the split with the reference, step by step', async (command) =>
    (await import('./verify.js')).verifyCommand(layersOf(command), command.opts(), services),
  );
  addFlags(verify, flagNames('net', 'data', 'hidden'))
    .option(...CONFIG_FLAG)
    .option('--steps <n>', 'steps to compare', numberOrText, 10)
    .option('--golden <file>', 'compare both with a file of reference values instead')
    .option(...JSON_FLAG);

  const summary = add(
    'summary',
    'print layers, shapes, parameters, multiply-adds and exchanged bytes',
    async (command) => (await import('./summary.js')).summaryCommand(flagLayer(command), command.opts(), services),
  );
  addFlags(summary, flagNames('net', 'summary')).option(...JSON_FLAG);

  addFlags(
    add('eval', "test a run's weights", async (command) =>
      (await import('./eval.js')).evalCommand(flagLayer(command), command.opts(), services),
    ),
    ['--out', '--data', '--devices', '--placement', '--workers'],
  )
    .requiredOption('--run <name>', 'name of the run')
    .option(...JSON_FLAG);

  add('devices', 'list the devices that TensorFlow has', (command) => devicesCommand(command.opts(), services)).option(
    ...JSON_FLAG,
  );

  add('doctor', 'print what a report of a fault needs, and what is wrong here', (command) =>
    doctorCommand(command.opts(), services),
  ).option(...JSON_FLAG);

  add('setup', 'find the TensorFlow library, or fetch it', async () => {
    services.stdout.write(`TensorFlow library: ${await services.ensureLibrary()}\n`);
    return 0;
  });
  return program;
}
