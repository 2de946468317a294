/** From the table of flags to commander's options, and from what the user typed to a layer of settings. */
import { type Command, Option } from 'commander';
import { readConfigFile } from '../config/file.js';
import { FLAGS, type Flag } from '../config/flags.js';
import { type ConfigLayer, valueAt } from '../config/layers.js';
import { PRESETS } from '../config/presets.js';
import { expandHome } from '../paths.js';

/** Adds the flags of that name to a command, in the table's order. */
export function addFlags(command: Command, names: readonly string[]): Command {
  for (const flag of FLAGS) {
    if (names.includes(flag.name)) command.addOption(optionOf(flag));
  }
  if (names.includes('--preset'))
    command.addHelpText('after', '\nA flag without a default has the value of the preset.');
  return command;
}

/** Names of the flags of those groups. */
export function flagNames(...groups: readonly Flag['group'][]): string[] {
  return FLAGS.filter((flag) => groups.includes(flag.group)).map((flag) => flag.name);
}

/** The flags that the user typed, as settings. */
export function flagLayer(command: Command): ConfigLayer {
  const values: Record<string, unknown> = {};
  for (const flag of FLAGS) {
    const attribute = optionOf(flag).attributeName();
    // A `--no-…` flag has a value even when nobody typed it.
    if (command.getOptionValueSource(attribute) !== 'cli') continue;
    const [last, ...above] = flag.path.split('.').reverse();
    let holder = values;
    for (const key of above.reverse()) {
      holder[key] ??= {};
      holder = holder[key] as Record<string, unknown>;
    }
    holder[last!] = command.getOptionValue(attribute);
  }
  return { values, by: 'line' };
}

/** The config file of `--config`, when there is one, then the flags. */
export function layersOf(command: Command): ConfigLayer[] {
  const file = command.getOptionValue('config') as string | undefined;
  return [...(file === undefined ? [] : [{ ...readConfigFile(file), by: 'file' as const }]), flagLayer(command)];
}

/** The flag as commander has it. */
export function optionOf(flag: Flag): Option {
  const option = new Option(
    flag.value ? `${flag.name} <${flag.value}>` : flag.name,
    `${flag.help}${defaultText(flag)}`,
  );
  option.helpGroup(flag.heading);
  if (flag.kind === 'number') option.argParser(numberOrText);
  if (flag.kind === 'path') option.argParser(pathOf(flag.name));
  if (flag.kind === 'list') option.argParser((text: string) => text.split(','));
  if (flag.name === '--epochs') option.conflicts('steps');
  if (flag.name === '--log-every') option.conflicts(['quiet', 'json']); // the last line only, or every step
  return option;
}

/** The default for the help: the value in all presets, if it is the same. */
function defaultText({ kind, path }: Flag): string {
  if (kind === 'off') return '';
  if (path === 'preset') return ' (default: auto)';
  const [value, ...others] = new Set(Object.values(PRESETS).map((preset) => valueAt(preset, path.split('.'))));
  const isFixed = others.length === 0 && (typeof value === 'number' || typeof value === 'string');
  return isFixed ? ` (default: ${value})` : '';
}

/** Reads a path, which may begin with `~`. @param where the option, for the message. */
export function pathOf(where: string): (text: string) => string {
  return (text) => expandHome(text, where);
}

/** The same for several. */
export function pathsOf(where: string): (text: string, before: readonly string[] | undefined) => readonly string[] {
  return (text, before = []) => [...before, expandHome(text, where)];
}

/** Reads a run's name, or the path of its folder, which has a slash in it. */
export function runOf(text: string): string {
  return text.includes('/') ? expandHome(text, '--run') : text;
}

/** Reads which checkpoint: a word, a step, or the path of a folder, which has a slash in it. */
function checkpointOf(text: string): string {
  return text.includes('/') ? expandHome(text, '--checkpoint') : text;
}

/** A decimal number; any other text stays as it is, for the validation to show it. */
export function numberOrText(text: string): number | string {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

/** Adds the flags that say which weights of which run: of every command that reads some. */
export function addRunFlags(command: Command): Command {
  return command
    .requiredOption('--run <run>', 'name of the run, or path of its folder', runOf)
    .option(
      '--checkpoint <best|last|step|folder>',
      'which of its weights: of the best evaluation, the last, a step',
      checkpointOf,
      'last',
    );
}
