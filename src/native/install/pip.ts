/** Has pip download a pinned wheel, whatever pip is set to, and tells in a sentence why it does not. */
import { type StdioOptions, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { isIgnored } from '../../end-signals.js';
import { SetupError } from '../../errors.js';
import { cacheFolder } from './library.js';
import { type Build, requirement, TENSORFLOW_VERSION, WHEEL_PYTHON, type Wheel } from './wheels.js';

/** What to do without pip. */
export const INSTEAD = `point TENSORFLOW_DIR at an existing TensorFlow ${TENSORFLOW_VERSION}`;

/** The first that takes more than one `--platform`, and knows the tags of the wheels. */
const OLDEST_PIP = '20.3';

/**
 * Has pip put the wheel into the folder. pip checks the hash. The user's settings of where to download from hold, and no
 * others.
 * @param lock descriptor of the folder's lock: pip has it too, for it may outlive this process.
 * @throws SetupError that says what to do.
 */
export async function download(
  wheel: Wheel,
  build: Build,
  folder: string,
  signal: AbortSignal,
  lock?: number,
): Promise<void> {
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
  const env = environment(join(folder, 'tmp'));
  const { exitCode, errors } = await run('python3', args, env, signal, { lock });
  if (exitCode === 0) return;
  const [reason, remedy] = pipFailure(errors, exitCode, await versionOf(env, signal));
  throw new SetupError(`Cannot fetch ${wheel.project} ${wheel.version}: ${reason}; ${remedy}, or ${INSTEAD}`);
}

/** Settings of pip that say where wheels come from, and how they get here. */
const KEPT = [
  ...['CONFIG_FILE', 'ISOLATED', 'INDEX_URL', 'PYPI_URL', 'EXTRA_INDEX_URL', 'NO_INDEX', 'FIND_LINKS', 'TRUSTED_HOST'],
  ...['PROXY', 'CERT', 'CLIENT_CERT', 'KEYRING_PROVIDER', 'TIMEOUT', 'DEFAULT_TIMEOUT', 'RETRIES', 'RESUME_RETRIES'],
  ...['USE_FEATURE', 'USE_DEPRECATED', 'NO_COLOR'],
].map((name) => `PIP_${name}`);

/**
 * The environment of pip: without settings that are meant for other packages (NVIDIA's containers pin theirs with
 * `PIP_CONSTRAINT`). A variable goes before a line of `pip.conf`, so those that matter are set to what changes nothing.
 */
function environment(temporary: string): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PIP_') || KEPT.includes(name));
  return {
    ...Object.fromEntries(others),
    TMPDIR: temporary, // pip downloads there first, and the system's is often too small
    ...{ PIP_CONSTRAINT: devNull, PIP_REQUIREMENT: devNull, PIP_REQUIRE_VIRTUALENV: '0' },
    ...{ PIP_QUIET: '0', PIP_VERBOSE: '0', PIP_NO_BINARY: ':none:' },
  };
}

/** pip's own version; undefined where it does not tell. */
async function versionOf(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string | undefined> {
  const { output } = await run('python3', ['-m', 'pip', '--version'], env, signal, { stdout: 'pipe' });
  return /^pip (\d+(?:\.\d+)*)/m.exec(output)?.[1];
}

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldest, oldestMinor] = OLDEST_PIP.split('.').map(Number) as [number, number];
  return major < oldest || (major === oldest && minor < oldestMinor);
}

/**
 * Runs a program, its stdout on our stderr.
 * @returns its exit code, or what killed it, what it wrote to stderr, and to stdout with `stdout: 'pipe'`.
 */
function run(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  { stdout = 2, lock }: { stdout?: 2 | 'pipe'; lock?: number | undefined } = {},
): Promise<{ exitCode: number | string; errors: string; output: string }> {
  return new Promise((resolve, reject) => {
    const stdio: StdioOptions = ['ignore', stdout, 'pipe', ...(lock === undefined ? [] : [lock])];
    // Under nohup, a terminal that goes must not end pip either, and Node.js starts it with the signal as it was.
    const detached = isIgnored('SIGHUP');
    const child = spawn(command, args, { stdio, env, signal, detached });
    const [chunks, outputs]: Buffer[][] = [[], []];
    child.stderr?.on('data', (chunk: Buffer) => chunks!.push(chunk));
    child.stdout?.on('data', (chunk: Buffer) => outputs!.push(chunk));
    child.once('error', ({ message }) => {
      reject(
        new SetupError(
          `Cannot fetch the TensorFlow library: ${command} cannot be run (${message}), and its pip is what downloads it; install Python 3 with pip, or ${INSTEAD}`,
        ),
      );
    });
    child.once('close', (code, killedBy) => {
      const [errors, output] = [chunks, outputs].map((each) => Buffer.concat(each!).toString()) as [string, string];
      resolve({ exitCode: code ?? killedBy ?? 'unknown', errors, output });
    });
  });
}

/** What went wrong, and what to do, from pip's own words. */
function pipFailure(
  errors: string,
  exitCode: number | string,
  version: string | undefined,
): [reason: string, remedy: string] {
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
  if (version !== undefined && isOld(version)) {
    return [
      `python3's pip is ${version}, expected ${OLDEST_PIP} or newer`,
      'update it with python3 -m pip install --upgrade pip',
    ];
  }
  // The last of pip's errors says most, but for the one that only names a page.
  const lines = errors.split('\n').map((line) => line.trim());
  const isError = (line: string) => line.startsWith('ERROR: ') && !line.startsWith('ERROR: ResolutionImpossible');
  const last = lines.findLast(isError) ?? lines.findLast((line) => line !== '');
  if (!last) return [`pip ended without a message (${exitCode})`, 'try again'];
  return [`pip says "${last.replace(/^ERROR: /, '')}"`, "check the network and pip's settings"];
}
