#!/usr/bin/env node
/**
 * Runs a command from a clone: `node scripts/run.mjs ARGUMENTS OF alexnet-split`, `--test [PART OF A PATH …]` or `--build`.
 *
 * First it installs packages, compiles, and fetches the TensorFlow library, if needed, and prints a line on stderr for each.
 * If nothing is missing, this takes some milliseconds and starts no process. This file and its imports are JavaScript
 * without dependencies, because a fresh clone has nothing else.
 */
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { listSources, outputOf } from './build.mjs';
import { SetupFailure, say, start } from './processes.mjs';
import { setUp } from './set-up.mjs';
import { installTestTools, needTools } from './test-tools.mjs';
import { keepUsedParts, PACKAGE } from './used-parts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The commands that load TensorFlow; `setup` fetches it itself. */
const LIBRARY_COMMANDS = ['train', 'ablate', 'verify', 'eval', 'predict', 'import', 'devices', 'accept'];
/** The commands that may run for long. */
const LONG_COMMANDS = [...LIBRARY_COMMANDS, 'data', 'plan'];

async function main(args) {
  refuseOldNode();
  const isTest = args[0] === '--test';
  const command = commandIn(args);
  const chosen = isTest ? chooseTests(args.slice(1)) : undefined;
  if (chosen && needTools(root, chosen.files)) {
    await setUp(root, { isLong: false });
    await ignoreHangup();
    await installTestTools(root);
  }
  await setUp(root, { isLong: isTest || LONG_COMMANDS.includes(command) });
  await ignoreHangup();
  const reason = keepUsedParts(root);
  if (args[0] === '--build') {
    if (reason !== undefined) say(`cannot be packed: ${PACKAGE} in ${join(root, 'node_modules')}: ${reason}`);
    return 0;
  }
  if (chosen) {
    await ensureLibrary();
    const { usableCores } = await compiled('limits.js');
    return runTests(
      [...chosen.flags, ...chosen.files.map((path) => relative(root, outputOf(root, path)))],
      usableCores(),
      args.length === 1,
    );
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

/**
 * @param args parts of paths. The test files with one of the parts in their path are chosen, or all files if there are no
 * parts. Flags are for Node.js.
 * @returns the flags, and the paths of the chosen sources relative to the clone.
 */
function chooseTests(args) {
  const flags = args.filter((each) => each.startsWith('-'));
  const parts = args.filter((each) => !each.startsWith('-')).map((each) => each.replace(/^\.\/|^dist\/|\.[tj]s$/g, ''));
  const all = listSources(root).filter((path) => path.startsWith(`test${sep}`) && path.endsWith('.test.ts'));
  const files = all.filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)));
  if (files.length === 0) throw new SetupFailure(`Cannot test: no file of test/ has ${parts.join(' or ')} in its path`);
  return { flags, files };
}

/** Runs one file more than there are cores, because some files are waiting at any time, but at most four, to save memory. */
function runTests(tests, cores, isAll) {
  const concurrency = Math.min(4, cores + 1);
  // Reading the source maps of tfjs in every thread is a sixth of a training's time: only where some files are chosen.
  const maps = isAll ? [] : ['--enable-source-maps'];
  const flags = ['--test', '--test-reporter=spec', `--test-concurrency=${concurrency}`];
  return start([process.execPath, ...maps, ...flags, ...tests], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Returns the name of the command, or undefined if only help is requested. */
function commandIn(args) {
  if (args.includes('--help') || args.includes('-h')) return undefined;
  return args.find((each) => !each.startsWith('-'));
}

/** Imports a compiled file of `src/`. */
function compiled(...path) {
  return import(pathToFileURL(join(root, 'dist', 'src', ...path)).href);
}

/** Node.js does not keep nohup's ignored SIGHUP. The command checks for it later, but fetching the library takes long too. */
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

// A closed terminal must not end the set-up. The command handles it later.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isExpected = error instanceof SetupFailure || error?.name === 'SetupError';
  say(`error: ${isExpected ? error.message : error?.stack}`);
  process.exitCode = 1;
}
