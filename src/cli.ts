#!/usr/bin/env node
/** The command line: arguments to a command, errors to one sentence and an exit code. */
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { oneLine } from './cli/format.js';
import { surviveLostOutput } from './cli/lost-output.js';
import { keptHint, refuseKeptFlags } from './cli/npm-flags.js';
import { plainOutput, writeLines } from './cli/printing.js';
import { buildProgram } from './cli/program.js';
import { SERVICES, type Services } from './cli/services.js';
import { handleSignalsEarly } from './end-signals.js';
import { ConfigError, SplitError } from './errors.js';

/**
 * Runs a command.
 * @param argv the arguments, without those of Node.js.
 * @param replaced stand-ins for what the commands use, for tests.
 * @returns the exit code: 0, 2 for a wrong use, 1 for a failure.
 */
export async function main(argv: readonly string[], replaced: Partial<Services> = {}): Promise<number> {
  const given = { ...SERVICES, ...replaced };
  const services = { ...given, stdout: plainOutput(given.stdout), stderr: plainOutput(given.stderr) };
  let exitCode = 0;
  try {
    const program = buildProgram(services, (code) => {
      exitCode = code;
    });
    program.hook('preAction', refuseGoneFolder); // not where help is asked for
    refuseKeptFlags(program, argv, services.env);
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error, services, argv);
  }
}

/** @throws ConfigError where the folder that the user stands in has been removed: no path begins there. */
function refuseGoneFolder(): void {
  try {
    process.cwd();
  } catch {
    throw new ConfigError(
      'Cannot work here: the folder that you stand in has been removed; change to another one (cd)',
    );
  }
}

/** Prints the error, when it is one. @returns the exit code. */
function explain(error: unknown, { stderr, env }: Services, argv: readonly string[]): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // --help and --version
    // Help that nobody asked for, because there was no command, is the message.
    const hint = error.code === 'commander.excessArguments' ? keptHint(argv, env) : '';
    const message = oneLine(error.message.replace(/^error: /, ''));
    if (error.code !== 'commander.help') stderr.write(`error: ${message}${hint}\n`);
    return 2;
  }
  if (error instanceof SplitError) {
    stderr.write(`error: ${oneLine(error.message)}\n`);
    return error.exitCode;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  stderr.write(`error: ${oneLine(message)} (this is a bug in alexnet-split; ALEXNET_SPLIT_DEBUG=1 shows where)\n`);
  if (env.ALEXNET_SPLIT_DEBUG === '1') writeLines(stderr, `${stack}`);
  return 1;
}

function isEntry(): boolean {
  const entry = process.argv[1];
  return (
    entry !== undefined && existsSync(entry) && realpathSync(entry) === realpathSync(fileURLToPath(import.meta.url))
  );
}

if (isEntry()) {
  handleSignalsEarly();
  surviveLostOutput();
  const exitCode = await main(process.argv.slice(2));
  if (exitCode !== 0) {
    process.exitCode = exitCode;
    const { leaveSoon } = await import('./cli/stop.js');
    leaveSoon(exitCode); // a thread that is stuck in C would keep the process
  }
}
