/**
 * `npm run train:split --seed=7` without `--`: npm takes the flag for a setting of its own, and starts the script
 * without it. What npm took it tells its scripts in the environment, as `npm_config_seed`.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { ConfigError } from '../errors.js';
import { shellWord } from '../printable.js';

type Env = Readonly<Record<string, string | undefined>>;

const PACKAGE = fileURLToPath(new URL('../../../package.json', import.meta.url));

/**
 * Refuses a command line from which npm took flags of ours. One that stands in an `.npmrc` is a setting of npm's and
 * does not count; one that an environment had before npm cannot be told from one that was typed.
 * @param argv the command's arguments.
 * @throws ConfigError with the line that works.
 */
export function refuseKeptFlags(program: Command, argv: readonly string[], env: Env): void {
  const script = ownScript(argv, env);
  if (script === undefined) return;
  const settled = npmrcKeys(env);
  const kept = [...namesOf(program)].flatMap(([name, options]) => {
    const value = env[`npm_config_${name.replaceAll('-', '_')}`];
    const option = value === undefined || settled.has(name) ? undefined : meant(options, value);
    return option ? [{ option, value: value! }] : [];
  });
  if (kept.length === 0) return;
  const given = argv.slice(script.words.length);
  const lacking = kept.filter(({ option, value }) => option.required && isBare(value));
  // `--seed 7` leaves the 7, as the first argument. Of several such flags nobody knows the order.
  const first = given.findIndex((each) => each.startsWith('-'));
  const values = given.slice(0, first === -1 ? undefined : first).slice(0, lacking.length);
  const flags = kept.map(({ option, value }) => {
    if (!option.required) return option.long!;
    const own = isBare(value) ? (lacking.length === 1 ? values[0] : undefined) : value;
    return `${option.long} ${own === undefined ? `<${/<(.*)>/.exec(option.flags)?.[1]}>` : shellWord(own)}`;
  });
  const line = ['npm run', script.name, '--', ...given.slice(values.length).map(shellWord), ...flags].join(' ');
  const [what, them] = flags.length === 1 ? ['a flag', 'it'] : ['flags', 'them'];
  throw new ConfigError(
    `Cannot go by ${flags.join(', ')}: npm took ${them} for ${them === 'it' ? 'a setting' : 'settings'} of its own, expected ${what} of alexnet-split after a --; type \`${line}\``,
  );
}

/** What is added to a message about too many arguments, where npm may have taken the flag that one is the value of. */
export function keptHint(argv: readonly string[], env: Env): string {
  const script = ownScript(argv, env);
  return script === undefined ? '' : `; flags come after a --: npm run ${script.name} -- …`;
}

/** The script of ours that npm started and that became this command; none where another package's script did. */
function ownScript(argv: readonly string[], env: Env): { name: string; words: readonly string[] } | undefined {
  const { npm_lifecycle_event: name, npm_lifecycle_script: text, npm_package_json: file } = env;
  const command = /scripts\/run\.mjs\s+(.*?)\s*$/.exec(text ?? '')?.[1];
  if (name === undefined || command === undefined || file === undefined || !isSame(file, PACKAGE)) return undefined;
  const words = command.split(/\s+/).filter((word) => /^[\w-]/.test(word)); // not a shell's "$@"
  return words.every((word, i) => argv[i] === word) ? { name, words } : undefined;
}

function isSame(a: string, b: string): boolean {
  return existsSync(a) && realpathSync(a) === realpathSync(b);
}

/** Every option of every command by what npm calls it: `--no-flip` is npm's `flip`, set to false. */
function namesOf(program: Command): Map<string, Option[]> {
  const names = new Map<string, Option[]>();
  const add = (command: Command) => {
    for (const option of command.options) {
      const name = option.name().replace(/^no-/, '');
      names.set(name, [...(names.get(name) ?? []), option]);
    }
    command.commands.forEach(add);
  };
  add(program);
  return names;
}

/** Which of the options was typed, by the value that npm has: `--flip` or `--no-flip`. */
function meant(options: readonly Option[], value: string): Option | undefined {
  const isOff = value === '' || value === 'false';
  return options.find(({ negate, required }) => required || negate === isOff);
}

/** A flag without its value. */
function isBare(value: string): boolean {
  return value === 'true' || value === '';
}

/** What is set in npm's files, of the user, of the machine and of this package. */
function npmrcKeys({ npm_config_userconfig, npm_config_globalconfig }: Env): Set<string> {
  const files = [npm_config_userconfig, npm_config_globalconfig, join(dirname(PACKAGE), '.npmrc')];
  return new Set(files.flatMap((file) => (file === undefined ? [] : keysIn(file))));
}

function keysIn(file: string): string[] {
  try {
    return Array.from(readFileSync(file, 'utf8').matchAll(/^\s*([\w-]+)\s*(?:=|$)/gm), ([, key]) => key!);
  } catch {
    return []; // not there, or not to be read: not by npm either
  }
}
