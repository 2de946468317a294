/** Fetches the TensorFlow library: pip (`pip.ts`) downloads pinned wheels, and their shared libraries go to the cache. */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isNoexec } from '../../addon.js';
import { SetupError } from '../../errors.js';
import { printable } from '../../printable.js';
import { makeFolders } from '../../safe-write.js';
import { cacheFolder, type FoundLibrary, fetchedBuild, findLibrary } from './library.js';
import { hasNvidiaDevice } from './nvidia.js';
import { download, INSTEAD } from './pip.js';
import { type Build, buildFor, gigabytesOf, isKept, isOlder, TENSORFLOW_VERSION, type Wheel } from './wheels.js';
import { onEndSignal, openWorkFolder, type WorkFolder } from './work-folder.js';

export interface EnsureOptions {
  /** Takes a line that says what is done; by default lines go to stderr. */
  say?: (line: string) => void;
  /** Whether to fetch the GPU build; by default whether the machine has an NVIDIA device. */
  nvidiaDevice?: boolean;
  /** Whether to fetch a GPU build again that has lost CUDA's libraries. A run does not: they may be elsewhere. */
  repair?: boolean;
}

/**
 * The TensorFlow library of this machine: where `TENSORFLOW_DIR` points, or in the cache, to which it is fetched if needed.
 * The cache gets the whole library or nothing, even if the process is killed or others fetch at the same time.
 * @throws SetupError that says what to do, if it cannot be fetched or `TENSORFLOW_DIR` cannot be used.
 */
export async function ensureLibrary(options: EnsureOptions = {}): Promise<FoundLibrary> {
  const { say = (line) => process.stderr.write(`${printable(line)}\n`), nvidiaDevice = hasNvidiaDevice() } = options;
  const find = () => {
    const found = findLibrary(nvidiaDevice);
    return found && (!options.repair || !nvidiaDevice || !fetchedBuild(found)?.lost.length) ? found : undefined;
  };
  const found = find();
  if (found) return found;
  const build = buildFor(process.platform, process.arch, nvidiaDevice ? 'gpu' : 'cpu');
  refuseOldLibC();
  const cache = cacheFolder();
  try {
    const work = await openWorkFolder(cache, build.folder, 'TensorFlow', say);
    const pip = new AbortController();
    const removeHandlers = onEndSignal(() => {
      pip.abort();
      work.close();
    });
    try {
      const fetchedByAnother = find();
      if (fetchedByAnother) return fetchedByAnother;
      refuseNoexec(cache, work.path);
      await refuseFullDisk(cache, build);
      if (nvidiaDevice && build.flavour === 'cpu') {
        say(`TensorFlow has no GPU build for ${process.platform} ${process.arch}: fetching the CPU build`);
      }
      for (const wheel of build.wheels) {
        say(`fetching ${wheel.project} ${wheel.version} (${wheel.megabytes} MB) with pip`);
        await fetchWheel(wheel, build, work, pip.signal);
      }
      moveIntoPlace(join(work.path, WHOLE), join(cache, build.folder), work.path, () => find() !== undefined);
      const fetched = find();
      if (!fetched) {
        throw new SetupError(`Cannot use the fetched wheels: there is no TensorFlow library in them; ${INSTEAD}`);
      }
      say(`TensorFlow ${TENSORFLOW_VERSION} (${build.flavour}) is in ${join(cache, build.folder)}`);
      return fetched;
    } finally {
      removeHandlers();
      work.close();
    }
  } catch (error) {
    throw withReason(error, cache);
  }
}

/** The folder in the work folder for what is kept of all wheels. */
const WHOLE = 'whole';

async function fetchWheel(wheel: Wheel, build: Build, work: WorkFolder, signal: AbortSignal): Promise<void> {
  const folder = join(work.path, wheel.project);
  makeFolders(join(folder, 'tmp'));
  await download(wheel, build, folder, signal, work.lock);
  const name = readdirSync(folder).find((each) => each.endsWith('.whl'));
  if (!name) throw new SetupError(`Cannot fetch ${wheel.project} ${wheel.version}: pip left no wheel; ${INSTEAD}`);
  const { unpack } = await import('./unpack.js');
  const paths = await unpack(join(folder, name), join(work.path, WHOLE), isKept).catch((error) => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code && code in DISK_REASONS) throw error;
    throw new SetupError(`Cannot unpack ${name}: ${message}; try again, or ${INSTEAD}`, { cause: error });
  });
  if (paths.length === 0) throw new SetupError(`Cannot use ${name}: there is no library in it; ${INSTEAD}`);
  rmSync(folder, { recursive: true });
}

/** Renames the folder. One that exists already is another process's, or is not usable and moves out of the way. */
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

/** Checks this before gigabytes are fetched to a disk from which the system runs no code. */
function refuseNoexec(cache: string, workFolder: string): void {
  const probe = join(workFolder, 'probe');
  writeFileSync(probe, '', { mode: 0o755 });
  if (isNoexec(probe))
    throw new SetupError(
      `Cannot fetch the TensorFlow library into ${cache}: the system runs no code from that disk, which is mounted noexec; set ALEXNET_SPLIT_CACHE to a folder on another disk, or ${INSTEAD}`,
    );
}

async function refuseFullDisk(cache: string, build: Build): Promise<void> {
  const neededGigabytes = gigabytesOf(build).fetching;
  const { bavail, bsize } = await statfs(cache);
  const freeGigabytes = (bavail * bsize) / 1e9;
  if (freeGigabytes >= neededGigabytes) return;
  throw new SetupError(
    `Cannot fetch the TensorFlow library: ${cache} has ${freeGigabytes.toFixed(1)} GB free, expected ${neededGigabytes.toFixed(1)}; free some space, move the cache with ALEXNET_SPLIT_CACHE, or ${INSTEAD}`,
  );
}

/** The wheels for Linux need glibc 2.27. */
function refuseOldLibC(): void {
  if (process.platform !== 'linux') return;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const version = header.glibcVersionRuntime;
  if (version && !isOlder(version, '2.27')) return;
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
  ENOENT: 'it cannot be made there, or has been removed in the meantime',
};

/** An error of the disk as a SetupError; any other error as it is. */
function withReason(error: unknown, cache: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  const reason = DISK_REASONS[code ?? ''] ?? (syscall && message);
  if (!reason || error instanceof SetupError) return error;
  return new SetupError(
    `Cannot write to the cache folder ${cache}: ${reason}; set ALEXNET_SPLIT_CACHE to a folder with free space that you may write to, or ${INSTEAD}`,
    { cause: error },
  );
}
