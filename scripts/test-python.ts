/** Installs the Python packages that only tests use, in the cache folder, which all clones share. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SetupError } from '../src/errors.js';
import { cacheFolder } from '../src/native/install/library.js';
import { pipEnvironment } from '../src/native/install/pip.js';

/**
 * The folder of the packages, for `PYTHONPATH`. It does not exist if they are not installed. Each version of Python has its
 * own, because some packages contain machine code.
 * @param tools the folder of `requirements.txt`.
 */
export function pythonToolsFolder(tools: string): string {
  const requirements = readFileSync(join(tools, 'requirements.txt'));
  const hash = createHash('sha256').update(requirements).update(pythonName()).digest('hex').slice(0, 12);
  return join(cacheFolder(), `test-tools-${hash}`);
}

/** The version and the machine, such as `cpython-312 linux-x86_64`. */
function pythonName(): string {
  const code = 'import sys, sysconfig; print(sys.implementation.cache_tag, sysconfig.get_platform())';
  try {
    return execFileSync('python3', ['-c', code], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return 'no python3'; // pip says what is wrong
  }
}

/**
 * Has pip install the packages, if they are missing.
 * @param say prints a line.
 * @throws SetupError if pip cannot.
 */
export async function installPythonTools(tools: string, say: (line: string) => void): Promise<void> {
  const folder = pythonToolsFolder(tools);
  if (existsSync(folder)) return;
  say("installing the tests' Python packages (pip)");
  mkdirSync(cacheFolder(), { recursive: true });
  const unfinished = mkdtempSync(`${folder}-`);
  try {
    const temporary = join(unfinished, 'tmp');
    mkdirSync(temporary);
    await pipInstall(join(tools, 'requirements.txt'), join(unfinished, 'packages'), temporary);
    renameSync(join(unfinished, 'packages'), folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // another clone has just installed them
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function pipInstall(requirements: string, target: string, temporary: string): Promise<void> {
  const args = [
    ...['-m', 'pip', 'install', '--no-deps', '--only-binary=:all:', '--no-cache-dir', '--disable-pip-version-check'],
    ...['--no-input', '--quiet', '--progress-bar', 'off', '--retries', '1', '--target', target, '-r', requirements],
  ];
  try {
    await promisify(execFile)('python3', args, { env: pipEnvironment(temporary) });
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    const last = stderr.trim().split('\n').at(-1) || message.split('\n')[0];
    throw new SetupError(
      `Cannot install ${requirements}: python3 -m pip says "${last}"; check the network and pip's settings`,
    );
  }
}
