/**
 * `npm run train:split --seed=7` without `--`: npm takes the flag for a setting of its own, and starts the script
 * without it. What npm took it tells its scripts in the environment, as `npm_config_seed`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { ConfigError } from '../errors.js';
import { shellWord } from '../printable.js';
import { type Env, npmScript } from './npm-script.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/**
 * Refuses a command line from which npm took flags of ours. One that stands in an `.npmrc` is a setting of npm's and
 * does not count; one that an environment had before npm cannot be told from one that was typed.
 * @param argv the command's arguments.
 * @throws ConfigError with the line that works, or the flags that the command does not have.
 */
export function refuseKeptFlags(program: Command, argv: readonly string[], env: Env): void {
  const script = npmScript(ROOT, argv, env);
  if (script === undefined) return;
  const settled = npmrcKeys(env);
  const command = startedBy(program, argv);
  const own = namesOf(command);
  const kept: { option: Option; value: string }[] = [];
  const unknown: string[] = [];
  for (const name of namesOf(program).keys()) {
    const value = env[`npm_config_${name.replaceAll('-', '_')}`];
    if (value === undefined || settled.has(name)) continue;
    const option = meant(own.get(name) ?? [], value);
    // Settings of npm's own; its `only` has no value that a flag of ours could have.
    if (name === 'only' || (!option && name === 'json')) continue;
    if (option) kept.push({ option, value });
    else unknown.push(value === '' || value === 'false' ? `--no-${name}` : `--${name}`);
  }
  if (unknown.length > 0) throw new ConfigError(noSuchFlag(nameOf(command), unknown));
  if (kept.length === 0) return;
  const given = argv.slice(script.words.length);
  const lacking = kept.filter(({ option, value }) => option.required && isBare(value));
  // `--seed 7` leaves the 7, as the first argument. Of several such flags nobody knows the order.
  const first = given.findIndex((each) => each.startsWith('-'));
  const values = given.slice(0, first === -1 ? undefined : first).slice(0, lacking.length);
  const flags = kept.map(({ option, value }) => {
    if (!option.required) return option.long!;
    const typed = isBare(value) ? (lacking.length === 1 ? values[0] : undefined) : value;
    return `${option.long} ${typed === undefined ? `<${/<(.*)>/.exec(option.flags)?.[1]}>` : shellWord(typed)}`;
  });
  const line = ['npm run', script.name, '--', ...given.slice(values.length).map(shellWord), ...flags].join(' ');
  const [what, them] = flags.length === 1 ? ['a flag', 'it'] : ['flags', 'them'];
  throw new ConfigError(
    `Cannot use ${flags.join(', ')}: npm took ${them} for ${them === 'it' ? 'a setting' : 'settings'} of its own, expected ${what} of alexnet-split after a --; type \`${line}\``,
  );
}

function noSuchFlag(command: string, flags: readonly string[]): string {
  const what = flags.length === 1 ? 'flag' : 'flags';
  return `Cannot use ${flags.join(', ')}: ${command} has no such ${what}; leave ${what === 'flag' ? 'it' : 'them'} out, and give others after a --`;
}

/** What is added to a message about too many arguments, where npm may have taken the flag that one is the value of. */
export function keptHint(argv: readonly string[], env: Env): string {
  const script = npmScript(ROOT, argv, env);
  return script === undefined ? '' : `; flags come after a --: npm run ${script.name} -- …`;
}

/** Options of a command, and of the commands in it, by what npm calls them: `--no-flip` is npm's `flip`, set to false. */
function namesOf(command: Command): Map<string, Option[]> {
  const names = new Map<string, Option[]>();
  const add = ({ options, commands }: Command) => {
    for (const option of options) {
      const name = option.name().replace(/^no-/, '');
      names.set(name, [...(names.get(name) ?? []), option]);
    }
    commands.forEach(add);
  };
  add(command);
  return names;
}

/** `data check`: without the program's own. */
function nameOf(command: Command): string {
  const above = command.parent?.parent ? `${nameOf(command.parent)} ` : '';
  return `${above}${command.name()}`;
}

/** The command that the arguments start, or as far as they say. */
function startedBy(command: Command, argv: readonly string[]): Command {
  const next = command.commands.find((each) => each.name() === argv[0]);
  return next ? startedBy(next, argv.slice(1)) : command;
}

/** Which of the options was typed, by the value that npm has: `--flip` or `--no-flip`. */
function meant(options: readonly Option[], value: string): Option | undefined {
  const isOff = value === '' || value === 'false';
  return options.find(({ negate, required }) => (required ? !isOff : negate === isOff));
}

/** A flag without its value. */
function isBare(value: string): boolean {
  return value === 'true';
}

/** What is set in npm's files, of the user, of the machine and of this package. */
function npmrcKeys({ npm_config_userconfig, npm_config_globalconfig }: Env): Set<string> {
  const files = [npm_config_userconfig, npm_config_globalconfig, join(ROOT, '.npmrc')];
  return new Set(files.flatMap((file) => (file === undefined ? [] : keysIn(file))));
}

function keysIn(file: string): string[] {
  try {
    return Array.from(readFileSync(file, 'utf8').matchAll(/^\s*([\w-]+)\s*(?:=|$)/gm), ([, key]) => key!);
  } catch {
    return []; // not there, or not to be read: not by npm either
  }
}
