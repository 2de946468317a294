/** Has pip download a pinned wheel, whatever pip's settings are, and says in a sentence why it cannot. */
import { type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { isIgnored } from '../../end-signals.js';
import { SetupError } from '../../errors.js';
import { cacheFolder } from './library.js';
import { type Build, isOlder, requirement, TENSORFLOW_VERSION, WHEEL_PYTHON, type Wheel } from './wheels.js';

/** What to do without pip. */
export const INSTEAD = `point TENSORFLOW_DIR at an existing TensorFlow ${TENSORFLOW_VERSION}`;

/** The first version that takes more than one `--platform` and knows the tags of the wheels. */
const OLDEST_PIP = '20.3';

/**
 * Has pip put the wheel into the folder and check its hash. Only those settings of the user apply that say where to
 * download from.
 * @param lock descriptor of the folder's lock, which pip gets too, because it may outlive this process.
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
  const env = pipEnvironment(join(folder, 'tmp'));
  const { exitCode, errors } = await runPython(args, env, signal, lock);
  if (exitCode === 0) return;
  const [reason, remedy] = pipFailure(errors, exitCode, versionOf(env));
  throw new SetupError(`Cannot fetch ${wheel.project} ${wheel.version}: ${reason}; ${remedy}, or ${INSTEAD}`);
}

/** The settings of pip that say where wheels come from, and how to connect. */
const KEPT = [
  ...['CONFIG_FILE', 'ISOLATED', 'INDEX_URL', 'PYPI_URL', 'EXTRA_INDEX_URL', 'NO_INDEX', 'FIND_LINKS', 'TRUSTED_HOST'],
  ...['PROXY', 'CERT', 'CLIENT_CERT', 'KEYRING_PROVIDER', 'TIMEOUT', 'DEFAULT_TIMEOUT', 'RETRIES', 'RESUME_RETRIES'],
  ...['USE_FEATURE', 'USE_DEPRECATED', 'NO_COLOR'],
].map((name) => `PIP_${name}`);

/**
 * pip's environment without settings that are meant for other packages (NVIDIA's containers pin theirs with
 * `PIP_CONSTRAINT`). Variables override `pip.conf`, so the ones that matter are set to neutral values.
 * @param temporary a folder that exists, for pip's own files.
 */
export function pipEnvironment(temporary: string): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('PIP_') || KEPT.includes(name));
  return {
    ...Object.fromEntries(others),
    TMPDIR: temporary, // where pip downloads to; the system's is often too small
    ...{ PIP_CONSTRAINT: devNull, PIP_REQUIREMENT: devNull, PIP_REQUIRE_VIRTUALENV: '0' },
    ...{ PIP_QUIET: '0', PIP_VERBOSE: '0', PIP_NO_BINARY: ':none:' },
  };
}

function versionOf(env: NodeJS.ProcessEnv): string | undefined {
  const { stdout } = spawnSync('python3', ['-m', 'pip', '--version'], { env, encoding: 'utf8' });
  return /^pip (\d+(?:\.\d+)*)/m.exec(stdout ?? '')?.[1];
}

/** Runs python3 with its stdout on our stderr. @returns its exit code, or what killed it, and what it wrote to stderr. */
async function runPython(args: string[], env: NodeJS.ProcessEnv, signal: AbortSignal, lock?: number) {
  const stdio: StdioOptions = ['ignore', 2, 'pipe', ...(lock === undefined ? [] : [lock])];
  // Under nohup, the end of a terminal must not end pip either, and Node.js does not pass on that it ignores the signal.
  const detached = isIgnored('SIGHUP');
  try {
    const child = spawn('python3', args, { stdio, env, signal, detached });
    const [[code, killedBy], errors] = await Promise.all([once(child, 'close'), text(child.stderr!)]);
    return { exitCode: (code ?? killedBy) as number | string, errors };
  } catch (error) {
    throw new SetupError(
      `Cannot fetch the TensorFlow library: python3 cannot be run (${(error as Error).message}), and its pip is what downloads it; install Python 3 with pip, or ${INSTEAD}`,
    );
  }
}

function pipFailure(errors: string, exitCode: number | string, version?: string): [reason: string, remedy: string] {
  const checkSettings = "check the network and pip's settings";
  if (/No module named '?pip/.test(errors)) {
    return ['python3 has no pip', 'install it (the package python3-pip, or python3 -m ensurepip)'];
  }
  if (/DO NOT MATCH THE HASHES/.test(errors)) {
    return ["pip's package index gives another file than the pinned one", "set pip's index to one that has it"];
  }
  if (/No space left on device|Errno 28\b|Disk quota exceeded/.test(errors)) {
    const remedy = 'free some space, or move the cache with ALEXNET_SPLIT_CACHE';
    return [`the disk of the cache folder ${cacheFolder()} is full`, remedy];
  }
  const connection = /\[Errno -?\d+\] ([^'"\])]+)|(timed out)|(CERTIFICATE_VERIFY_FAILED)|(Proxy ?Error)/i.exec(errors);
  if (connection && /connection broken|HTTPSConnectionPool|Could not fetch URL|Connection/i.test(errors)) {
    const detail = connection.slice(1).find((each) => each !== undefined);
    return [`pip cannot reach its package index (${detail?.trim()})`, checkSettings];
  }
  if (version !== undefined && isOlder(version, OLDEST_PIP)) {
    const remedy = 'update it with python3 -m pip install --upgrade pip';
    return [`python3's pip is ${version}, expected ${OLDEST_PIP} or newer`, remedy];
  }
  // pip's last error says most, except the one that only names a web page.
  const lines = errors.split('\n').map((line) => line.trim());
  const isError = (line: string) => line.startsWith('ERROR: ') && !line.startsWith('ERROR: ResolutionImpossible');
  const last = lines.findLast(isError) ?? lines.findLast((line) => line !== '');
  if (!last) return [`pip ended without a message (${exitCode})`, 'try again'];
  return [`pip says "${last.replace(/^ERROR: /, '')}"`, checkSettings];
}
