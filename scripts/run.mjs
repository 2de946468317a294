#!/usr/bin/env node
/**
 * Runs a command from a clone: `node scripts/run.mjs ARGUMENTS OF alexnet-split`, `--test [PART OF A PATH …]` or `--build`.
 *
 * First it does what is missing, and prints a line on stderr for each: it installs packages, compiles, and fetches the
 * TensorFlow library. When nothing is missing, that takes some milliseconds and starts no process. This file and those
 * that it imports are JavaScript without dependencies, because a fresh clone has nothing else.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SetupFailure, say } from './processes.mjs';
import { setUp } from './set-up.mjs';
import { chooseTests, runTests } from './tests.mjs';
import { keepUsedParts, PACKAGE } from './used-parts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The commands that load TensorFlow; `setup` fetches it itself. */
const LIBRARY_COMMANDS = ['train', 'ablate', 'verify', 'eval', 'predict', 'import', 'devices', 'accept'];
/** The commands that may run for long. */
const LONG_COMMANDS = [...LIBRARY_COMMANDS, 'data'];

async function main(args) {
  refuseOldNode();
  const isTest = args[0] === '--test';
  const command = commandIn(args);
  await setUp(root, { isLong: isTest || LONG_COMMANDS.includes(command) });
  await ignoreHangup();
  const reason = keepUsedParts(root);
  if (args[0] === '--build') {
    if (reason !== undefined) say(`cannot be packed: ${PACKAGE} in ${join(root, 'node_modules')}: ${reason}`);
    return 0;
  }
  if (isTest) {
    const tests = chooseTests(root, args.slice(1));
    await ensureLibrary();
    const { usableCores } = await compiled('limits.js');
    return runTests(root, tests, usableCores());
  }
  await changeToUserFolder(args);
  if (LIBRARY_COMMANDS.includes(command)) await ensureLibrary();
  // cli.js runs because it is the program's entry, and sets the exit code.
  process.argv = [process.argv[0], join(root, 'dist', 'src', 'cli.js'), ...args];
  await compiled('cli.js');
  return process.exitCode;
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 11)) return;
  throw new SetupFailure(
    `Cannot run on Node.js ${process.versions.node}: expected 20.11 or newer; install a newer Node.js`,
  );
}

/** The command's name; undefined where only help is asked for. */
function commandIn(args) {
  if (args.includes('--help') || args.includes('-h')) return undefined;
  return args.find((each) => !each.startsWith('-'));
}

/** Imports a compiled file of `src/`. */
function compiled(...path) {
  return import(pathToFileURL(join(root, 'dist', 'src', ...path)).href);
}

/** Node.js forgets that nohup started it. The command looks for that itself, but fetching the library takes long too. */
async function ignoreHangup() {
  const { isIgnored } = await compiled('end-signals.js');
  if (isIgnored('SIGHUP')) process.on('SIGHUP', () => {});
}

/** npm starts its scripts in the clone, but the user's paths are relative to the folder in which npm was started. */
async function changeToUserFolder(args) {
  const { userFolder } = await compiled('cli', 'npm.js');
  const folder = userFolder(root, args, process.env, process.cwd());
  if (folder === undefined) return;
  try {
    process.chdir(folder);
  } catch (error) {
    throw new SetupFailure(`Cannot go to ${folder}, where npm was started: ${error.message}; change to another folder`);
  }
}

async function ensureLibrary() {
  const fetching = await compiled('native', 'install', 'fetch.js');
  await fetching.ensureLibrary();
}

// The command itself handles a terminal that is gone; until then it is no reason to end.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isExpected = error instanceof SetupFailure || error?.name === 'SetupError';
  say(`error: ${isExpected ? error.message : error?.stack}`);
  process.exitCode = 1;
}
