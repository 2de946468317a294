/** `completion`: prints a script with which a shell completes commands, flags, their values, runs and files. */
import type { Command } from 'commander';
import { FLAGS } from '../config/flags.js';
import { configJsonSchema } from '../config/json-schema.js';
import { valueAt } from '../config/layers.js';
import { NAMED_SOURCES } from '../config/schema.js';
import { VARIANT_NAMES } from '../train/ablate.js';
import { bashScript } from './completion-bash.js';
import { fishScript } from './completion-fish.js';
import type { Completed, Values } from './completion-model.js';
import { zshScript } from './completion-zsh.js';
import type { Input, Services } from './services.js';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** What the help's placeholder stands for. Others are numbers and names that a shell does not know. */
const PLACES: Record<string, Values['places']> = {
  file: ['files'],
  files: ['files'],
  path: ['files'],
  folder: ['folders'],
  source: ['folders'],
  run: ['runs', 'files'],
  runs: ['runs', 'files'],
  'run|file': ['runs', 'files'],
};

/** Words for a value that are in no schema. */
const WORDS: Record<string, readonly string[]> = {
  '--data': NAMED_SOURCES,
  '--variants': VARIANT_NAMES,
  '--checkpoint': ['best', 'last'],
  '--resume': ['auto'],
};

/** Places for the value of an option whose placeholder does not say it. */
const OWN_PLACES: Record<string, Values['places']> = {
  '--checkpoint': ['folders'],
  '--resume': ['folders'],
  '--run': ['runs'], // a name is common, a path is not
};

/** Prints the script for a shell. */
export async function completion(
  program: Command,
  { argument: shell }: Input<object, keyof typeof SCRIPTS>,
  { stdout }: Services,
): Promise<number> {
  stdout.print(...SCRIPTS[shell](completedBy(program)).trimEnd().split('\n'));
  return 0;
}

/** Everything that can be typed: the program first, then every command. */
export function completedBy(program: Command): Completed[] {
  const schema = configJsonSchema();
  const visit = (command: Command, path: string): Completed[] => {
    const inner = visibleCommands(command).filter((each) => each.name() !== 'help');
    return [completed(command, path, schema), ...inner.flatMap((each) => visit(each, `${path} ${each.name()}`.trim()))];
  };
  return visit(program, '');
}

function visibleCommands(command: Command): readonly Command[] {
  return command.createHelp().visibleCommands(command);
}

function completed(command: Command, path: string, schema: object): Completed {
  const options = command.createHelp().visibleOptions(command);
  const [argument] = command.registeredArguments;
  return {
    path,
    commands: visibleCommands(command).map((each) => ({ name: each.name(), description: each.description() })),
    options: options.map(({ long, description, flags, argChoices, required }) => ({
      name: long!,
      description,
      values: required ? valuesOf(long!, flags, argChoices ?? enumOf(long!, schema)) : undefined,
    })),
    argument: argument && { words: argument.argChoices ?? [], places: PLACES[argument.name()] ?? [] },
  };
}

function valuesOf(name: string, flags: string, choices: readonly string[] | undefined): Values {
  const placeholder = /<(.*)>/.exec(flags)?.[1] ?? '';
  return { words: choices ?? WORDS[name] ?? [], places: OWN_PLACES[name] ?? PLACES[placeholder] ?? [] };
}

/** The values of a setting that has a list of them. */
function enumOf(name: string, schema: object): readonly string[] | undefined {
  const path = FLAGS.find((flag) => flag.name === name)?.path.split('.') ?? [];
  const setting = valueAt(
    schema,
    path.flatMap((key) => ['properties', key]),
  ) as { enum?: string[] } | undefined;
  return path.length > 0 ? setting?.enum : undefined;
}
