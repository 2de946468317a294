/** The command lines of figures: what they run, and whether today's program still takes them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { type Assignment, chooseVariants } from '../../../src/cli/ablate-options.js';
import { inputOf } from '../../../src/cli/options.js';
import { buildProgram } from '../../../src/cli/program.js';
import { SERVICES } from '../../../src/cli/services.js';
import { resolveConfig } from '../../../src/config/config.js';
import type { ConfigLayer } from '../../../src/config/layers.js';

export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** What a command line starts: the command line interface, the benchmarks, or a script of `scripts/` or `test/`. */
export type Started = { program: 'alexnet-split' | 'bench'; args: string[] } | { program: 'node'; args: string[] };

/** The commands whose flags are settings of a training. */
const SETTING_COMMANDS = ['train', 'ablate', 'verify', 'plan'];

/** Devices that settings may name. */
const MACHINE = {
  devices: ['CPU:0', 'CPU:1', 'CPU:2', 'CPU:3', 'CPU:4', 'CPU:5'],
  fashionMnist: true,
  now: new Date(0),
};

/**
 * Takes a command line apart: `npm run NAME -- …`, or `node dist/scripts/….js …`.
 * @throws Error if nothing of that name exists.
 */
export function startedBy(line: string): Started {
  const [first, ...rest] = line.split(/\s+/);
  if (first === 'node' && rest[0]?.startsWith('dist/')) {
    const source = rest[0].slice('dist/'.length).replace(/\.js$/, '.ts');
    if (!existsSync(join(ROOT, source))) throw new Error(`there is no ${source}`);
    return { program: 'node', args: rest };
  }
  const [run, name = '', dashes, ...args] = rest;
  if (first !== 'npm' || run !== 'run' || (dashes !== undefined && dashes !== '--')) {
    throw new Error('expected npm run NAME -- FLAGS, or node dist/…');
  }
  if (name === 'bench') return { program: 'bench', args };
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const script = /scripts\/run\.c?m?js (?!--)(.*)$/.exec(scripts[name] ?? '')?.[1];
  if (script === undefined) throw new Error(`package.json has no script ${name} that runs a command`);
  return { program: 'alexnet-split', args: [...script.split(' '), ...args] };
}

/** @returns why today's program refuses a command line; undefined if it takes it. It runs nothing. */
export async function refusalOf(line: string): Promise<string | undefined> {
  try {
    const { program, args } = startedBy(line);
    if (program === 'node') return undefined;
    if (program === 'bench') {
      // Imported here, because it loads what trains.
      await parseOnly((await import('../../bench/program.js')).program, args);
      return undefined;
    }
    const command = await parseOnly(
      buildProgram(SERVICES, () => {}),
      args,
    );
    if (command && SETTING_COMMANDS.includes(command.name())) checkSettings(command);
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^error: /, '').split('\n')[0]!;
  }
}

/** Parses arguments and does nothing. @returns the command that they name. @throws CommanderError, ConfigError. */
async function parseOnly(program: Command, args: readonly string[]): Promise<Command | undefined> {
  let chosen: Command | undefined;
  const prepare = (command: Command) => {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0) {
      command.action((...given: unknown[]) => {
        chosen = given.at(-1) as Command;
      });
    }
    for (const each of command.commands) prepare(each);
  };
  prepare(program);
  await program.parseAsync(args, { from: 'user' });
  return chosen;
}

/** @throws ConfigError for settings that a training refuses. */
function checkSettings(command: Command): void {
  const { layers, options } = inputOf(command) as unknown as {
    layers: readonly ConfigLayer[];
    options: { variants?: readonly string[]; set?: readonly Assignment[] };
  };
  const { config } = resolveConfig(layers, MACHINE, false);
  if (command.name() === 'ablate') chooseVariants(config, options.variants, options.set ?? []);
}
