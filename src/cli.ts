#!/usr/bin/env node
/** The command line: from arguments to a command, and from an error to one sentence and an exit code. */
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { oneLine } from './cli/format.js';
import { withHelpFlag } from './cli/help.js';
import { commandOf, npmHint, refuseNpmFlags } from './cli/npm.js';
import { withMeantFlag } from './cli/other-names.js';
import { Printer, surviveLostOutput } from './cli/output.js';
import { buildProgram } from './cli/program.js';
import { type Replaced, SERVICES, type Services } from './cli/services.js';
import { handleSignalsEarly } from './end-signals.js';
import { ConfigError, SplitError } from './errors.js';

/**
 * Runs a command.
 * @param argv the arguments, without those of Node.js.
 * @param replaced stand-ins for what the commands use, for tests.
 * @returns the exit code: 0, 1 for a failure, 2 for a usage error.
 */
export async function main(
  argv: readonly string[],
  { stdout = SERVICES.stdout.stream, stderr = SERVICES.stderr.stream, ...replaced }: Replaced = {},
): Promise<number> {
  const services = { ...SERVICES, ...replaced, stdout: new Printer(stdout), stderr: new Printer(stderr) };
  let exitCode = 0;
  const program = buildProgram(services, (code) => {
    exitCode = code;
  });
  try {
    program.hook('preAction', refuseRemovedFolder); // help works without a folder
    refuseNpmFlags(program, argv, services.env);
    await program.parseAsync(withHelpFlag(program, argv), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) error.message = withMeantFlag(error.message, commandOf(program, argv));
    return printError(error, services, argv);
  }
}

/** @throws ConfigError if the current folder was removed. Relative paths have no meaning then. */
function refuseRemovedFolder(): void {
  try {
    process.cwd();
  } catch {
    throw new ConfigError('Cannot work here: the current folder has been removed; change to another one (cd)');
  }
}

/** @returns the exit code. */
function printError(error: unknown, { stderr, env }: Services, argv: readonly string[]): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // --help and --version
    const hint = error.code === 'commander.excessArguments' ? npmHint(argv, env) : '';
    // Without a command, commander has printed the help.
    if (error.code !== 'commander.help')
      stderr.print(`error: ${oneLine(error.message.replace(/^error: /, ''))}${hint}`);
    return 2;
  }
  if (error instanceof SplitError) {
    stderr.print(`error: ${oneLine(error.message)}`);
    return error.exitCode;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  stderr.print(`error: ${oneLine(message)} (this is a bug in alexnet-split; ALEXNET_SPLIT_DEBUG=1 shows where)`);
  if (env.ALEXNET_SPLIT_DEBUG === '1') stderr.print(...`${stack}`.split('\n'));
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
    const { exitSoon } = await import('./cli/stop.js');
    exitSoon(exitCode); // a thread that is stuck in C would keep the process running
  }
}
