#!/usr/bin/env node
/**
 * Runs a command from a clone: `node scripts/run.mjs <arguments of alexnet-split>`, `--test [part of a path …]`, `--build`.
 *
 * Does first what is missing, a line on stderr for each: packages, compilation, the TensorFlow library. It is JavaScript
 * without dependencies, because on a fresh clone there is nothing else. When nothing is missing it costs some
 * milliseconds and starts no process.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { listStamp, missingPackages, npmCi } from './packages.mjs';
import { SetupFailure, start } from './processes.mjs';
import { holdingLock } from './setup-lock.mjs';
import { keepUsedParts, PACKAGE } from './used-parts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inRoot = (...parts) => join(root, ...parts);
const DIST = inRoot('dist');
const PACKAGES_STAMP = inRoot('node_modules', '.alexnet-split-packages');
const BUILD_STAMP = join(DIST, '.alexnet-split-build');
const LOCK = join(DIST, '.alexnet-split-setup');
/** What npm keeps for a user without a home. */
const NPM_FOLDER = join(DIST, '.alexnet-split-npm');
const SOURCE_FOLDERS = ['src', 'scripts', 'test'];
/** The commands that load TensorFlow; `setup` fetches it itself. */
const LIBRARY_COMMANDS = ['train', 'ablate', 'verify', 'eval', 'predict', 'import', 'devices', 'accept'];

const say = (line) => process.stderr.write(`${line}\n`);

async function main(args) {
  refuseOldNode();
  const lockHash = hash(readText(inRoot('package-lock.json')));
  if (!isInstalled(lockHash) || !isBuilt(lockHash)) await setUp(lockHash);
  await ignoreHangup();
  const reason = keepUsedParts(root);
  if (args[0] === '--build') {
    if (reason !== undefined) say(`not to be packed: ${PACKAGE} in ${inRoot('node_modules')}: ${reason}`);
    return 0;
  }
  if (args[0] === '--test') {
    const tests = chosenTests(args.slice(1));
    await ensureLibrary();
    return runTests(tests);
  }
  await goToUser(args);
  if (needsLibrary(args)) await ensureLibrary();
  const cli = join(DIST, 'src', 'cli.js');
  // As if it had been started by itself: it runs because it is the entry, and sets the exit code.
  process.argv = [process.argv[0], cli, ...args];
  await import(pathToFileURL(cli).href);
  return process.exitCode;
}

/** Node.js forgets that it was started by nohup; the command looks for that itself, but what comes before it is long too. */
async function ignoreHangup() {
  const { isIgnored } = await import(pathToFileURL(join(DIST, 'src', 'end-signals.js')).href);
  if (isIgnored('SIGHUP')) process.on('SIGHUP', () => {});
}

/** Paths are relative to where the user stands, as with the command alexnet-split; npm starts its scripts in the clone. */
async function goToUser(args) {
  const { userFolder } = await import(pathToFileURL(join(DIST, 'src', 'cli', 'npm.js')).href);
  const folder = userFolder(root, args, process.env, process.cwd());
  if (folder === undefined) return;
  try {
    process.chdir(folder);
  } catch (error) {
    throw new SetupFailure(`Cannot go to ${folder}, where npm was started: ${error.message}; change to another folder`);
  }
}

async function setUp(lockHash) {
  const told = {
    waiting: (owner) => say(`waiting for ${owner}, which sets up this clone`),
    without: (reason) =>
      say(`this clone cannot be locked: ${reason}; see to it that no other process sets it up meanwhile`),
  };
  try {
    await holdingLock(LOCK, told, async (lock) => {
      refuseNoexec();
      // Another process may have done it in the meantime.
      if (!isInstalled(lockHash)) await install(lockHash, lock);
      if (!isBuilt(lockHash)) await build(lockHash, lock);
    });
  } catch (error) {
    if (!error?.syscall) throw error;
    throw new SetupFailure(`Cannot set up this clone: ${error.message}; make room, or let ${root} be written to`);
  }
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 11)) return;
  throw new SetupFailure(
    `Cannot run on Node.js ${process.versions.node}: expected 20.11 or newer; install a newer Node.js`,
  );
}

// ---- packages

/** It names the machine too, for packages with native code do not survive a move to another one. */
function packagesId(lockHash) {
  return `${lockHash} ${process.platform}-${process.arch}`;
}

/** With npm's own list: whoever ran npm by hand since may have left something out. */
function packagesStamp(lockHash) {
  return `${packagesId(lockHash)} ${listStamp(root)}`;
}

function isInstalled(lockHash) {
  return readText(PACKAGES_STAMP) === packagesStamp(lockHash);
}

async function install(lockHash, lock) {
  if (missingPackages(root).length > 0) {
    say('installing packages (npm ci)');
    const { command, env } = npmCi(NPM_FOLDER);
    try {
      await run('npm ci', command, lock, env);
    } finally {
      fs.rmSync(NPM_FOLDER, { recursive: true, force: true });
    }
    const missing = missingPackages(root);
    if (missing.length > 0) {
      throw new SetupFailure(
        `Cannot go on: npm ci left out ${missing.length} packages (${missing.slice(0, 3).join(', ')}); see which of npm's settings does that with npm config ls, and take it out`,
      );
    }
  }
  writeWhole(PACKAGES_STAMP, packagesStamp(lockHash));
}

/** The compiler is a program, and sharp and koffi have machine code. */
function refuseNoexec() {
  const probe = join(DIST, '.alexnet-split-probe');
  fs.writeFileSync(probe, '', { mode: 0o755 });
  try {
    fs.accessSync(probe, fs.constants.X_OK);
  } catch {
    throw new SetupFailure(
      `Cannot set up this clone: the system runs no programs from the disk of ${root}, which is probably mounted noexec; move the clone to another disk, or have that one mounted with exec`,
    );
  } finally {
    fs.rmSync(probe);
  }
}

// ---- compilation

function isBuilt(lockHash) {
  const sources = listSources();
  return (
    readText(BUILD_STAMP) === buildStamp(sources, lockHash) &&
    sources.every(({ path }) => fs.existsSync(outputOf(path)))
  );
}

/** Every source file with what changes when it is edited. */
function listSources() {
  const sources = [];
  const walk = (folder) => {
    for (const entry of fs.readdirSync(inRoot(folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (path.endsWith('.ts') && !path.endsWith('.d.ts')) sources.push({ path, ...stampOf(path) });
    }
  };
  for (const folder of SOURCE_FOLDERS) if (fs.existsSync(inRoot(folder))) walk(folder);
  return sources.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function stampOf(path) {
  const { mtimeMs, size } = fs.statSync(inRoot(path));
  return { mtimeMs, size };
}

function buildStamp(sources, lockHash) {
  return hash(JSON.stringify([sources, stampOf('tsconfig.json'), packagesId(lockHash)]));
}

function outputOf(path) {
  return join(DIST, path.replace(/\.ts$/, '.js'));
}

async function build(lockHash, lock) {
  say('compiling (tsc)');
  fs.rmSync(BUILD_STAMP, { force: true });
  const sources = listSources(); // before tsc reads them: what is edited meanwhile is compiled next time
  removeStale(new Set(sources.map(({ path }) => outputOf(path))));
  // What tsc remembers of an earlier build is wrong when an output has been deleted since.
  if (sources.some(({ path }) => !fs.existsSync(outputOf(path))))
    fs.rmSync(join(DIST, '.tsbuildinfo'), { force: true });
  await run('tsc', [process.execPath, inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', root], lock);
  writeWhole(BUILD_STAMP, buildStamp(sources, lockHash));
}

/** Removes what was compiled from sources that are gone. */
function removeStale(outputs) {
  for (const folder of SOURCE_FOLDERS.map((each) => join(DIST, each)).filter((each) => fs.existsSync(each))) {
    for (const name of fs.readdirSync(folder, { recursive: true })) {
      const [, stem] = /^(.*)(?:\.d\.ts|\.js|\.js\.map)$/.exec(name) ?? [];
      if (stem !== undefined && !outputs.has(join(folder, `${stem}.js`))) fs.rmSync(join(folder, name));
    }
  }
}

// ---- the TensorFlow library

function needsLibrary(args) {
  if (args.some((each) => each === '--help' || each === '-h')) return false;
  return LIBRARY_COMMANDS.includes(args.find((each) => !each.startsWith('-')) ?? '');
}

async function ensureLibrary() {
  const fetchModule = await import(pathToFileURL(join(DIST, 'src', 'native', 'install', 'fetch.js')).href);
  await fetchModule.ensureLibrary();
}

// ---- tests

/** The tests whose path has one of the parts in it, all without parts; flags are Node's. */
function chosenTests(args) {
  const flags = args.filter((each) => each.startsWith('-'));
  const parts = args.filter((each) => !each.startsWith('-')).map((each) => each.replace(/^\.\/|^dist\/|\.[tj]s$/g, ''));
  const all = listSources().filter(({ path }) => path.startsWith('test/') && path.endsWith('.test.ts'));
  const chosen = all.filter(({ path }) => parts.length === 0 || parts.some((part) => path.includes(part)));
  if (chosen.length === 0)
    throw new SetupFailure(`Cannot test: no file of test/ has ${parts.join(' or ')} in its path`);
  return [...flags, ...chosen.map(({ path }) => relative(root, outputOf(path)))];
}

/** One file more than cores, for some of them wait at any time; more than four at once take memory. */
async function runTests(tests) {
  const { usableCores } = await import(pathToFileURL(join(DIST, 'src', 'limits.js')).href);
  const concurrency = Math.min(4, usableCores() + 1);
  const flags = ['--enable-source-maps', '--test', '--test-reporter=spec', `--test-concurrency=${concurrency}`];
  return start([process.execPath, ...flags, ...tests], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}

// ---- processes, files

/** Runs a program of the set-up, which has the lock too: it may outlive this process. Its output is shown when it fails. */
async function run(name, command, lock, env = process.env) {
  const output = [];
  const quiet = { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe', lock] };
  const code = await start(command, quiet, (chunk) => output.push(chunk));
  if (code === 0) return;
  process.stderr.write(Buffer.concat(output));
  throw new SetupFailure(`Cannot go on: ${name} failed with exit code ${code}; its message is above`);
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function writeWhole(file, text) {
  fs.mkdirSync(dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.${process.pid}`, text);
  fs.renameSync(`${file}.${process.pid}`, file);
}

function hash(text) {
  return createHash('sha256')
    .update(text ?? '')
    .digest('hex');
}

// A terminal that is gone is no reason to end; the command hears of it itself.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof SetupFailure || error?.name === 'SetupError';
  say(`error: ${expected ? error.message : error?.stack}`);
  process.exitCode = 1;
}
