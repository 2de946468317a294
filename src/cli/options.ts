/** Makes commander's options from the table of flags, and settings from what the user typed. */
import { type Command, Option } from 'commander';
import { defaultOf } from '../config/defaults.js';
import { readClusterFile, readConfigFile } from '../config/file.js';
import { FLAGS, type Flag, HEADINGS } from '../config/flags.js';
import type { ConfigLayer } from '../config/layers.js';
import { parseSchedule } from '../config/schedule-text.js';
import { shortText } from '../config/validate.js';
import { ConfigError } from '../errors.js';
import { expandHome } from '../paths.js';
import type { CommandModule, Input } from './services.js';

/** Adds a command to the program, or to another command. @param load imports its module. */
export type Add = (name: string, description: string, load: () => Promise<CommandModule>, parent?: Command) => Command;

export const JSON_FLAG = ['--json', 'print JSON and nothing else on stdout'] as const;

const ABOUT_DEFAULTS = `
Defaults are those of the presets: the first value is that of every preset that
is not named after it. imagenet*: all presets whose name begins with imagenet.
What has no flag is set in the file of --config, such as the rates of single
layers (optimizer.ownRates). docs/cli.md lists every flag.`;

/** Adds options for settings. @param unset what holds if they are not typed, instead of the preset's value. */
export function addFlags(command: Command, names: readonly string[], unset?: string): Command {
  for (const flag of FLAGS) if (names.includes(flag.name)) command.addOption(optionOf(flag, unset));
  if (names.includes('--preset')) command.addHelpText('after', ABOUT_DEFAULTS);
  return command;
}

export function flagNames(...groups: readonly Flag['group'][]): string[] {
  return FLAGS.filter((flag) => groups.includes(flag.group)).map((flag) => flag.name);
}

export function inputOf(command: Command): Input<never, never> {
  const options = command.opts();
  const flags = flagLayer(command);
  const file = options.config === undefined ? [] : [{ ...readConfigFile(options.config), by: 'file' as const }];
  const cluster = options.cluster === undefined ? [] : [readClusterFile(options.cluster)];
  const layers = [...file, ...cluster, flags];
  return { argument: command.processedArgs[0] as never, flags, layers, options: options as never };
}

function flagLayer(command: Command): ConfigLayer {
  const values: Record<string, unknown> = {};
  for (const flag of FLAGS) {
    const attribute = optionOf(flag).attributeName();
    // A `--no-…` flag has a value even if nobody typed it.
    if (command.getOptionValueSource(attribute) !== 'cli') continue;
    const keys = flag.path.split('.');
    let parent = values;
    for (const key of keys.slice(0, -1)) {
      parent[key] ??= {};
      parent = parent[key] as Record<string, unknown>;
    }
    parent[keys.at(-1)!] = flag.kind === 'word' ? flag.name.slice(2) : command.getOptionValue(attribute);
  }
  return { values, by: 'line' };
}

export function optionOf(flag: Flag, unset = defaultOf(flag)): Option {
  const option = new Option(flag.value ? `${flag.name} <${flag.value}>` : flag.name, flag.help)
    .default(undefined, unset)
    .helpGroup(flag.heading);
  if (flag.kind === 'number') option.argParser(numberOrText);
  if (flag.kind === 'numbers') option.argParser(numbersOf);
  if (flag.kind === 'path') option.argParser(pathOf(flag.name));
  if (flag.kind === 'list') option.argParser(listOf);
  if (flag.kind === 'schedule') option.argParser(parseSchedule);
  if (flag.name === '--synthetic') option.conflicts('data');
  if (flag.name === '--epochs') option.conflicts('steps');
  if (flag.name === '--log-every') option.conflicts(['quiet', 'json']); // the last line only, or every step
  return option;
}

export function configOption(): Option {
  return new Option('--config <file>', 'JSON file with settings; flags override it')
    .argParser(pathOf('--config'))
    .helpGroup(HEADINGS.run);
}

export function clusterOption(): Option {
  return new Option('--cluster <file>', 'JSON file with servers, coordinator and devices; flags override it')
    .argParser(pathOf('--cluster'))
    .helpGroup(HEADINGS.run);
}

/** The flags that say where a net goes. */
export const PLACE_FLAGS = ['--devices', '--servers', '--coordinator'];

/** An option with these values, the first of which is the default. */
export function choiceOf(usage: string, help: string, ...choices: readonly [string, ...string[]]): Option {
  return new Option(usage, help).choices(choices).default(choices[0]);
}

/** A parser of paths, which may begin with `~`. @param where the option, for the message. */
export function pathOf(where: string): (text: string) => string {
  return (text) => expandHome(text, where);
}

/** The same for several. */
export function pathsOf(where: string): (text: string, before: readonly string[] | undefined) => readonly string[] {
  return (text, before = []) => [...before, expandHome(text, where)];
}

/** The same for a word (a run's name, `last`) or a path, which has a slash in it. */
function wordOrPathOf(where: string): (text: string) => string {
  return (text) => (text.includes('/') ? expandHome(text, where) : text);
}

export function listOf(text: string): string[] {
  return text.split(',');
}

/** One number, or a list with commas between them. */
function numbersOf(text: string): number | string | (number | string)[] {
  return text.includes(',') ? listOf(text).map(numberOrText) : numberOrText(text);
}

/** A decimal number. Any other text stays as it is, for the message of the validation. */
export function numberOrText(text: string): number | string {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

/** A parser of whole numbers. It throws ConfigError for other texts. */
export function wholeNumberOf(flag: string, from: number, to?: number): (text: string) => number {
  return (text) => {
    const value = numberOrText(text);
    if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= (to ?? value)) return value;
    throw new ConfigError(
      `${flag} is ${shortText(value)}, expected a whole number from ${from} ${to === undefined ? 'up' : `to ${to}`}`,
    );
  };
}

/** A parser of shares between 0 and 1. It throws ConfigError for other texts. */
export function shareOf(flag: string): (text: string) => number {
  return (text) => {
    const value = numberOrText(text);
    if (typeof value === 'number' && value > 0 && value < 1) return value;
    throw new ConfigError(`${flag} is ${shortText(value)}, expected a number above 0 and below 1`);
  };
}

/** A parser of numbers. It throws ConfigError for other texts. @param least 0 is refused unless it is the least. */
export function numberOf(flag: string, least?: 0): (text: string) => number {
  return (text) => {
    const value = numberOrText(text);
    if (typeof value === 'number' && Number.isFinite(value) && (value > 0 || value === least)) return value;
    const expected = least === 0 ? 'a number from 0 up' : 'a number above 0';
    throw new ConfigError(`${flag} is ${shortText(value)}, expected ${expected}`);
  };
}

export function addRunFlags(command: Command): Command {
  return command
    .requiredOption('--run <run>', 'name of the run, or path of its folder', wordOrPathOf('--run'))
    .option('--checkpoint <which>', 'best, last, a step, or a folder', wordOrPathOf('--checkpoint'), 'last');
}
