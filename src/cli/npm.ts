/**
 * Commands that npm starts: `npm run train:split --seed=7` without `--`. npm takes such a flag for a setting of its own,
 * starts the script without it, and passes it in the environment, as `npm_config_seed`.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { ConfigError } from '../errors.js';
import { shellWord } from '../printable.js';

export type Env = Readonly<Record<string, string | undefined>>;

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Finds the script of this package that npm started, if it became this very command.
 * @param args the arguments of this command; undefined if any script of this package will do.
 * @returns the script's name, and the arguments that it gave; undefined for another script, or without npm.
 */
export function npmScript(
  root: string,
  args: readonly string[] | undefined,
  { npm_lifecycle_event: name, npm_lifecycle_script: text = '', npm_package_json: file }: Env,
): { name: string; words: readonly string[] } | undefined {
  const command = /scripts\/run\.[cm]js\s+(.*?)\s*$/.exec(text)?.[1];
  if (name === undefined || command === undefined || file === undefined) return undefined;
  const words = command.split(/\s+/).filter((word) => /^[\w-]/.test(word)); // not a shell's "$@"
  if (args && !words.every((word, i) => args[i] === word)) return undefined;
  return isSameFile(file, join(root, 'package.json')) ? { name, words } : undefined;
}

/**
 * Returns the folder in which the user typed `npm run …`, to which paths on the command line are relative. npm starts the
 * script in the package's folder.
 * @returns undefined unless npm started this very command in the package's folder; `INIT_CWD` then belongs to another script.
 */
export function userFolder(root: string, args: readonly string[], env: Env, cwd: string): string | undefined {
  const { INIT_CWD: folder } = env;
  if (folder === undefined || !isAbsolute(folder)) return undefined;
  return npmScript(root, args, env) && isSameFile(cwd, root) ? folder : undefined;
}

function isSameFile(a: string, b: string): boolean {
  return existsSync(a) && realpathSync(a) === realpathSync(b);
}

/**
 * Refuses a command line from which npm took flags of ours. Settings in an `.npmrc` do not count. Variables that were set
 * before npm started look the same as typed flags.
 * @throws ConfigError with the line that works, or the flags that the command does not have.
 */
export function refuseNpmFlags(program: Command, argv: readonly string[], env: Env): void {
  const script = npmScript(ROOT, argv, env);
  if (script === undefined) return;
  const settings = npmrcKeys(env);
  const command = commandOf(program, argv);
  const own = optionsByName(command);
  const taken: { option: Option; value: string }[] = [];
  const unknown: string[] = [];
  for (const name of optionsByName(program).keys()) {
    const value = env[`npm_config_${name.replaceAll('-', '_')}`];
    if (value === undefined || settings.has(name)) continue;
    const option = typedOption(own.get(name) ?? [], value);
    // npm has settings of these names; its `only` never has a value of our flag.
    if (name === 'only' || (!option && name === 'json')) continue;
    if (option) taken.push({ option, value });
    else unknown.push(isOff(value) ? `--no-${name}` : `--${name}`);
  }
  if (unknown.length > 0) {
    const name = command.parent?.parent ? `${command.parent.name()} ${command.name()}` : command.name();
    const [flag, it] = unknown.length === 1 ? ['flag', 'it'] : ['flags', 'them'];
    throw new ConfigError(
      `Cannot use ${unknown.join(', ')}: ${name} has no such ${flag}; leave ${it} out, and put other flags after --`,
    );
  }
  if (taken.length === 0) return;
  const given = argv.slice(script.words.length);
  const lacking = taken.filter(({ option, value }) => option.required && value === 'true'); // typed without a value
  // `--seed 7` leaves the 7 as the first argument. The order of several such flags is unknown.
  const first = given.findIndex((each) => each.startsWith('-'));
  const values = given.slice(0, first === -1 ? undefined : first).slice(0, lacking.length);
  const flags = taken.map(({ option, value }) => {
    if (!option.required) return option.long!;
    const typed = value === 'true' ? (lacking.length === 1 ? values[0] : undefined) : value;
    return `${option.long} ${typed === undefined ? `<${/<(.*)>/.exec(option.flags)?.[1]}>` : shellWord(typed)}`;
  });
  const line = ['npm run', script.name, '--', ...given.slice(values.length).map(shellWord), ...flags].join(' ');
  const [flag, it, setting] = flags.length === 1 ? ['a flag', 'it', 'setting'] : ['flags', 'them', 'settings'];
  throw new ConfigError(
    `Cannot use ${flags.join(', ')}: npm read ${it} as its own ${setting}, expected ${flag} of alexnet-split after --; type \`${line}\``,
  );
}

/**
 * How the user types `train`, before its flags: `npm run train:split --` in a clone, `npx alexnet-split train` or
 * `alexnet-split train` where the package is installed.
 */
export function trainCommand(env: Env, placement: 'split' | 'single'): string {
  if (npmScript(ROOT, undefined, env)) return `npm run train:${placement} --`;
  return `${env.npm_command === 'exec' ? 'npx ' : ''}alexnet-split train`;
}

/** A hint for the message about too many arguments, because npm may have taken the flag that an argument belongs to. */
export function npmHint(argv: readonly string[], env: Env): string {
  const script = npmScript(ROOT, argv, env);
  return script === undefined ? '' : `; put flags after --: npm run ${script.name} -- …`;
}

/** The options of a command and its subcommands by npm's name: `--no-flip` is npm's `flip`, set to false. */
function optionsByName(command: Command): Map<string, Option[]> {
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

/** The command that the arguments begin with. */
export function commandOf(command: Command, argv: readonly string[]): Command {
  const next = command.commands.find((each) => each.name() === argv[0]);
  return next ? commandOf(next, argv.slice(1)) : command;
}

/** The option that was typed, by npm's value: `--flip` or `--no-flip`. */
function typedOption(options: readonly Option[], value: string): Option | undefined {
  return options.find(({ negate, required }) => (required ? !isOff(value) : negate === isOff(value)));
}

function isOff(value: string): boolean {
  return value === '' || value === 'false';
}

/** The settings in npm's files: of the user, of the machine and of this package. */
function npmrcKeys({ npm_config_userconfig, npm_config_globalconfig }: Env): Set<string> {
  const files = [npm_config_userconfig, npm_config_globalconfig, join(ROOT, '.npmrc')];
  return new Set(files.flatMap((file) => (file === undefined ? [] : keysIn(file))));
}

function keysIn(file: string): string[] {
  try {
    return Array.from(readFileSync(file, 'utf8').matchAll(/^\s*([\w-]+)\s*(?:=|$)/gm), ([, key]) => key!);
  } catch {
    return []; // npm cannot read it either
  }
}
