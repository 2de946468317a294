#!/usr/bin/env node
/**
 * Runs a command from a clone: `node scripts/run.mjs <arguments of alexnet-split>`, `--test [part of a path …]`, `--build`.
 *
 * Does first what is missing, a line on stderr for each: packages, compilation, the TensorFlow library. It is JavaScript
 * without dependencies, because on a fresh clone there is nothing else. When nothing is missing it costs some
 * milliseconds and starts no process.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { holdingLock } from './setup-lock.mjs';
import { keepUsedParts, PACKAGE } from './used-parts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inRoot = (...parts) => join(root, ...parts);
const DIST = inRoot('dist');
const PACKAGES_STAMP = inRoot('node_modules', '.alexnet-split-lock');
const BUILD_STAMP = join(DIST, '.alexnet-split-build');
const LOCK = join(DIST, '.alexnet-split-setup');
const SOURCE_FOLDERS = ['src', 'scripts', 'test'];
/** The commands that load TensorFlow; `setup` fetches it itself. */
const LIBRARY_COMMANDS = ['train', 'ablate', 'verify', 'eval', 'predict', 'import', 'devices', 'accept'];

/** What ends this program with one line and exit code 1. */
class SetupFailure extends Error {}

const say = (line) => process.stderr.write(`${line}\n`);

async function main(args) {
  refuseOldNode();
  const lockHash = hash(readText(inRoot('package-lock.json')));
  if (!isInstalled(lockHash) || !isBuilt()) {
    const waiting = (owner) => say(`waiting for process ${owner}, which sets up this clone`);
    await holdingLock(LOCK, waiting, async () => {
      // Another process may have done it in the meantime.
      if (!isInstalled(lockHash)) await install(lockHash);
      if (!isBuilt()) await build();
    });
  }
  const isPackable = keepUsedParts(root);
  if (args[0] === '--build') {
    if (!isPackable)
      say(`not to be packed: ${PACKAGE} is not in ${inRoot('node_modules')}, or cannot be changed there`);
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

/** Paths are relative to where the user stands, as with the command alexnet-split; npm starts its scripts in the clone. */
async function goToUser(args) {
  const { userFolder } = await import(pathToFileURL(join(DIST, 'src', 'cli', 'npm-script.js')).href);
  const folder = userFolder(root, args, process.env, process.cwd());
  if (folder === undefined) return;
  try {
    process.chdir(folder);
  } catch (error) {
    throw new SetupFailure(`Cannot go to ${folder}, where npm was started: ${error.message}; change to another folder`);
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

/** The stamp names the machine too, for packages with native code do not survive a move to another one. */
function packagesStamp(lockHash) {
  return `${lockHash} ${process.platform}-${process.arch}`;
}

function isInstalled(lockHash) {
  return readText(PACKAGES_STAMP) === packagesStamp(lockHash);
}

async function install(lockHash) {
  if (!hasPackages()) {
    say('installing packages (npm ci)');
    // npm says where it is when it started this program. Compiling takes the development packages, in production too.
    const npm = process.env.npm_execpath?.endsWith('npm-cli.js')
      ? [process.execPath, process.env.npm_execpath]
      : ['npm'];
    await run('npm ci', [...npm, 'ci', '--include=dev', '--no-progress', '--loglevel=error']);
  }
  writeWhole(PACKAGES_STAMP, packagesStamp(lockHash));
}

/** Whether npm's own list of what it installed has all that the lock asks for: then somebody ran npm by hand. */
function hasPackages() {
  const installed = packagesIn(inRoot('node_modules', '.package-lock.json'));
  const wanted = packagesIn(inRoot('package-lock.json'));
  if (!installed || !wanted) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || (entry.optional && !isForThisMachine(entry))) return true;
    return installed[path]?.version === entry.version && fs.existsSync(inRoot(path));
  });
}

function packagesIn(file) {
  try {
    return JSON.parse(readText(file) ?? 'null')?.packages;
  } catch {
    return undefined; // half-written: as good as none
  }
}

function isForThisMachine({ os, cpu, libc }) {
  if (!os || libc) return false; // npm knows which libc; a package it left out says so when it is used
  return os.includes(process.platform) && (!cpu || cpu.includes(process.arch));
}

// ---- compilation

function isBuilt() {
  const sources = listSources();
  return readText(BUILD_STAMP) === buildStamp(sources) && sources.every(({ path }) => fs.existsSync(outputOf(path)));
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

function buildStamp(sources) {
  return hash(JSON.stringify([sources, stampOf('tsconfig.json'), readText(PACKAGES_STAMP)]));
}

function outputOf(path) {
  return join(DIST, path.replace(/\.ts$/, '.js'));
}

async function build() {
  say('compiling (tsc)');
  fs.rmSync(BUILD_STAMP, { force: true });
  const sources = listSources(); // before tsc reads them: what is edited meanwhile is compiled next time
  removeStale(new Set(sources.map(({ path }) => outputOf(path))));
  // What tsc remembers of an earlier build is wrong when an output has been deleted since.
  if (sources.some(({ path }) => !fs.existsSync(outputOf(path))))
    fs.rmSync(join(DIST, '.tsbuildinfo'), { force: true });
  await run('tsc', [process.execPath, inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);
  writeWhole(BUILD_STAMP, buildStamp(sources));
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

/** Each file is a process that starts, computes on all cores, and waits, in turn; more than four at once take memory. */
function runTests(tests) {
  const concurrency = Math.min(4, os.availableParallelism());
  const flags = ['--enable-source-maps', '--test', '--test-reporter=spec', `--test-concurrency=${concurrency}`];
  return start([process.execPath, ...flags, ...tests], { stdio: 'inherit' });
}

// ---- processes, files

/** Runs a program of the set-up; its output is shown when it fails. */
async function run(name, command) {
  const output = [];
  const code = await start(command, { stdio: ['ignore', 'pipe', 'pipe'] }, (chunk) => output.push(chunk));
  if (code === 0) return;
  process.stderr.write(Buffer.concat(output));
  throw new SetupFailure(`Cannot go on: ${name} failed with exit code ${code}; its message is above`);
}

/** Starts a program in the clone. @returns its exit code. Signals that end this process go to it. */
function start([file, ...args], options, onOutput) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, ...options });
    const pass = (signal) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, pass);
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', onOutput);
    child.once('error', (error) =>
      reject(new SetupFailure(`Cannot run ${file}: ${error.message}; put it on the PATH`)),
    );
    child.once('close', (code, signal) => {
      for (const each of signals) process.off(each, pass);
      if (signal) process.kill(process.pid, signal);
      else resolve(code);
    });
  });
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

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof SetupFailure || error?.name === 'SetupError';
  say(`error: ${expected ? error.message : error?.stack}`);
  process.exitCode = 1;
}
