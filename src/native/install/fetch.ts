/** Fetches the TensorFlow library: pip downloads pinned wheels, the shared libraries in them go to the cache. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { END_SIGNALS, type EndSignal, isIgnored, signalExitCode } from '../../end-signals.js';
import { SetupError } from '../../errors.js';
import { cacheFolder, type FoundLibrary, findLibrary } from './library.js';
import { hasNvidiaDevice } from './nvidia.js';
import { type Build, buildFor, isKept, requirement, TENSORFLOW_VERSION, WHEEL_PYTHON, type Wheel } from './wheels.js';
import { openWorkFolder, waitForOthers } from './work-folder.js';

export interface EnsureOptions {
  /** Takes a line that tells what is being done; without it, lines go to stderr. */
  say?: (line: string) => void;
  /** Whether to fetch the GPU build; without it, whether the machine has an NVIDIA device. */
  nvidiaDevice?: boolean;
}

const INSTEAD = `point TENSORFLOW_DIR at an existing TensorFlow ${TENSORFLOW_VERSION}`;

/**
 * The TensorFlow library of this machine; fetches it when it is neither where `TENSORFLOW_DIR` points nor in the cache.
 * The cache gets the whole library or nothing, also when the process is killed or others fetch at the same time.
 * @throws SetupError that says what to do, when it cannot be fetched or what `TENSORFLOW_DIR` points at cannot be used.
 */
export async function ensureLibrary(options: EnsureOptions = {}): Promise<FoundLibrary> {
  const { say = (line) => process.stderr.write(`${line}\n`), nvidiaDevice = hasNvidiaDevice() } = options;
  const found = findLibrary(nvidiaDevice);
  if (found) return found;
  const build = buildFor(process.platform, process.arch, nvidiaDevice ? 'gpu' : 'cpu');
  refuseOldLibC();
  const cache = cacheFolder();
  try {
    return await fetchInto(cache, build, nvidiaDevice, say);
  } catch (error) {
    throw explained(error, cache);
  }
}

async function fetchInto(
  cache: string,
  build: Build,
  nvidiaDevice: boolean,
  say: (line: string) => void,
): Promise<FoundLibrary> {
  const work = openWorkFolder(cache, build.folder);
  const pip = new AbortController();
  const stopWatching = onEndSignal(() => {
    pip.abort();
    work.close();
  });
  try {
    await waitForOthers(cache, build.folder, work, (owner) => say(`waiting for ${owner}, which fetches TensorFlow`));
    const fetchedByAnother = findLibrary(nvidiaDevice);
    if (fetchedByAnother) return fetchedByAnother;
    await refuseFullDisk(cache, build);
    if (nvidiaDevice && build.flavour === 'cpu') {
      say(`TensorFlow has no GPU build for ${process.platform} ${process.arch}: the CPU build is fetched`);
    }
    const whole = join(work.path, 'whole');
    for (const wheel of build.wheels) await fetchWheel(wheel, build, work.path, whole, pip.signal, say);
    moveIntoPlace(whole, join(cache, build.folder), work.path, () => findLibrary(nvidiaDevice) !== undefined);
    const found = findLibrary(nvidiaDevice);
    if (!found)
      throw new SetupError(`Cannot use the fetched wheels: there is no TensorFlow library in them; ${INSTEAD}`);
    say(`TensorFlow ${TENSORFLOW_VERSION} (${build.flavour}) is in ${join(cache, build.folder)}`);
    return found;
  } finally {
    stopWatching();
    work.close();
  }
}

async function fetchWheel(
  wheel: Wheel,
  build: Build,
  workFolder: string,
  whole: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  say(`fetching ${wheel.project} ${wheel.version} (${wheel.megabytes} MB) with pip`);
  const folder = join(workFolder, wheel.project);
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  await download(wheel, build, folder, signal);
  const name = readdirSync(folder).find((each) => each.endsWith('.whl'));
  if (!name) throw new SetupError(`Cannot fetch ${wheel.project} ${wheel.version}: pip left no wheel; ${INSTEAD}`);
  const { unpack } = await import('./unpack.js');
  let paths: string[];
  try {
    paths = await unpack(join(folder, name), whole, isKept);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code && code in DISK_REASONS) throw error;
    throw new SetupError(`Cannot unpack ${name}: ${message}; try again, or ${INSTEAD}`, { cause: error });
  }
  if (paths.length === 0) throw new SetupError(`Cannot use ${name}: there is no library in it; ${INSTEAD}`);
  rmSync(folder, { recursive: true });
}

/** Has pip put the wheel into the folder. pip checks the hash; the user's settings of pip hold: mirrors, proxies, … */
async function download(wheel: Wheel, build: Build, folder: string, signal: AbortSignal): Promise<void> {
  const requirements = join(folder, 'requirements.txt');
  writeFileSync(requirements, `${requirement(wheel)}\n`);
  const { version, implementation, abi } = WHEEL_PYTHON;
  const terminal = process.stderr.isTTY === true;
  const args = [
    ...['-m', 'pip', 'download', '--require-hashes', '--no-deps', '--only-binary=:all:', '--no-cache-dir'],
    ...['--disable-pip-version-check', '--no-input', '--python-version', version],
    ...['--implementation', implementation, '--abi', abi],
    ...build.platforms.flatMap((platform) => ['--platform', platform]),
    ...(terminal ? [] : ['--quiet', '--progress-bar', 'off']),
    ...['--dest', folder, '-r', requirements],
  ];
  // pip downloads to TMPDIR first, which is often too small. A download needs no virtual environment.
  const env = { ...process.env, TMPDIR: join(folder, 'tmp'), PIP_REQUIRE_VIRTUALENV: '0' };
  const { exitCode, errors } = await run('python3', args, env, signal);
  if (exitCode === 0) return;
  const [reason, remedy] = pipFailure(errors, exitCode);
  throw new SetupError(`Cannot fetch ${wheel.project} ${wheel.version}: ${reason}; ${remedy}, or ${INSTEAD}`);
}

/** Runs a program, its stdout on our stderr. @returns its exit code, or what killed it, and what it wrote to stderr. */
function run(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ exitCode: number | string; errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 2, 'pipe'], env, signal });
    const chunks: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', ({ message }) => {
      reject(
        new SetupError(
          `Cannot fetch the TensorFlow library: ${command} cannot be run (${message}), and its pip is what downloads it; install Python 3 with pip, or ${INSTEAD}`,
        ),
      );
    });
    child.once('close', (code, killedBy) => {
      resolve({ exitCode: code ?? killedBy ?? 'unknown', errors: Buffer.concat(chunks).toString() });
    });
  });
}

/** What went wrong, and what to do, from pip's own words. */
function pipFailure(errors: string, exitCode: number | string): [reason: string, remedy: string] {
  if (/No module named '?pip/.test(errors)) {
    return ['python3 has no pip', 'install it (the package python3-pip, or python3 -m ensurepip)'];
  }
  if (/DO NOT MATCH THE HASHES/.test(errors)) {
    return ["pip's package index gives another file than the pinned one", "set pip's index to one that has it"];
  }
  if (/No space left on device|Errno 28\b|Disk quota exceeded/.test(errors)) {
    return [
      `the disk of the cache folder ${cacheFolder()} is full`,
      'make room, or move the cache with ALEXNET_SPLIT_CACHE',
    ];
  }
  const connection = /\[Errno -?\d+\] ([^'"\])]+)|(timed out)|(CERTIFICATE_VERIFY_FAILED)|(Proxy ?Error)/i.exec(errors);
  if (connection && /connection broken|HTTPSConnectionPool|Could not fetch URL|Connection/i.test(errors)) {
    const detail = connection.slice(1).find((each) => each !== undefined);
    return [`pip cannot reach its package index (${detail?.trim()})`, "check the network and pip's settings"];
  }
  const lines = errors.split('\n').map((line) => line.trim());
  const last = lines.findLast((line) => line.startsWith('ERROR: ')) ?? lines.findLast((line) => line !== '');
  if (!last) return [`pip ended without a message (${exitCode})`, 'try again'];
  return [`pip says "${last.replace(/^ERROR: /, '')}"`, "check the network and pip's settings"];
}

/** One rename. A folder that is there already is another process's, or one that lost a file: that is set aside. */
function moveIntoPlace(whole: string, place: string, workFolder: string, isUsable: () => boolean): void {
  try {
    renameSync(whole, place);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    if (isUsable()) return;
    renameSync(place, join(workFolder, 'old'));
    renameSync(whole, place);
  }
}

/** Does `action` before a signal ends the process. @returns what undoes that. */
function onEndSignal(action: () => void): () => void {
  const signals = END_SIGNALS.filter((signal) => !isIgnored(signal));
  const onSignal = (signal: EndSignal) => {
    action(); // first: a terminal's Ctrl-C comes twice by way of npm, and must not end it in the middle
    stop();
    // For SIGUSR1 Node.js would open a port for a debugger.
    if (signal === 'SIGUSR1') process.exit(signalExitCode(signal));
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return stop;
}

async function refuseFullDisk(cache: string, { wheels }: Build): Promise<void> {
  const unpacked = wheels.reduce((sum, { unpackedMegabytes }) => sum + unpackedMegabytes, 0);
  // pip copies a wheel out of its temporary folder.
  const neededGigabytes = (unpacked + 2 * Math.max(...wheels.map(({ megabytes }) => megabytes))) / 1000;
  const { bavail, bsize } = await statfs(cache);
  const freeGigabytes = (bavail * bsize) / 1e9;
  if (freeGigabytes >= neededGigabytes) return;
  throw new SetupError(
    `Cannot fetch the TensorFlow library: ${cache} has ${freeGigabytes.toFixed(1)} GB free, expected ${neededGigabytes.toFixed(1)}; make room, move the cache with ALEXNET_SPLIT_CACHE, or ${INSTEAD}`,
  );
}

/** The Linux wheels are linked with glibc 2.27. */
function refuseOldLibC(): void {
  if (process.platform !== 'linux') return;
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const version = report.header.glibcVersionRuntime;
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (major > 2 || (major === 2 && minor >= 27)) return;
  throw new SetupError(
    `Cannot fetch the TensorFlow library: this system has ${version ? `glibc ${version}` : 'no glibc'}, expected glibc 2.27 or newer; run on a newer distribution, or ${INSTEAD} built for this one`,
  );
}

const DISK_REASONS: Record<string, string> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENOTDIR: 'part of the path is a file',
  EEXIST: 'part of the path is a file',
  ENOENT: 'it cannot be made there, or has been removed meanwhile',
};

function explained(error: unknown, cache: string): unknown {
  const reason = DISK_REASONS[(error as NodeJS.ErrnoException).code ?? ''];
  if (!reason) return error;
  return new SetupError(
    `Cannot write to the cache folder ${cache}: ${reason}; set ALEXNET_SPLIT_CACHE to a folder with room that you may write to, or ${INSTEAD}`,
    { cause: error },
  );
}
