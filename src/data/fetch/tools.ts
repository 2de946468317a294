/** Runs the programs that download packages, and reads the packages' files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';

/** Where a package is unpacked, and how its download ends early. */
export interface Place {
  /** An empty folder, for the package and whatever else is needed on the way. */
  readonly work: string;
  readonly signal: AbortSignal;
  /** Descriptor of the folder's lock. The programs get it too, because they may outlive this process. */
  readonly lock?: number | undefined;
}

/** A program that is not there, or failed. The message is a clause: why. */
export class ToolError extends Error {}

/** Runs a program in the work folder. @throws ToolError if it cannot be run or fails. */
export async function runTool(program: string, args: readonly string[], place: Place): Promise<void> {
  const { child, ended } = start(program, args, place);
  child.stdout!.resume();
  await ended;
}

/** Unpacks files of a tar archive that a program writes to its stdout. @throws as {@link runTool} and {@link unpackTar}. */
export async function unpackOutput(
  program: string,
  args: readonly string[],
  nameOf: (path: string) => string | undefined,
  folder: string,
  place: Place,
): Promise<void> {
  const { child, ended } = start(program, args, place);
  await Promise.all([unpackTar(child.stdout!, nameOf, folder), ended]);
}

/**
 * Writes files of a tar archive into a folder.
 * @param nameOf the name that a path of the archive gets there; undefined if it is not needed.
 * @throws an error of the disk, or of a damaged archive.
 */
export async function unpackTar(
  archive: Readable,
  nameOf: (path: string) => string | undefined,
  folder: string,
): Promise<void> {
  const extract = tar.extract();
  await Promise.all([
    pipeline(archive, extract),
    (async () => {
      for await (const entry of extract) {
        const name = entry.header.type === 'file' ? nameOf(entry.header.name) : undefined;
        if (name === undefined) entry.resume();
        else await pipeline(entry, createWriteStream(join(folder, name)));
      }
    })(),
  ]);
}

function start(program: string, args: readonly string[], { work, signal, lock }: Place) {
  const child = spawn(program, args, {
    ...{ cwd: work, signal, env: { ...process.env, LC_ALL: 'C', NO_COLOR: '1' } },
    stdio: ['ignore', 'pipe', 'pipe', ...(lock === undefined ? [] : [lock])],
  });
  return { child, ended: endOf(child, program) };
}

async function endOf(child: ChildProcess, program: string): Promise<void> {
  try {
    const [[code, killedBy], errors] = await Promise.all([once(child, 'close'), text(child.stderr!)]);
    if (code !== 0) throw new ToolError(`${program} says "${lastError(errors) ?? `exit code ${code ?? killedBy}`}"`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new ToolError(`there is no ${program} on this machine`);
    throw error;
  }
}

/** What npm, apt-get and dpkg-deb say about a failure: the first line of theirs that has a message. */
function lastError(errors: string): string | undefined {
  const lines = errors.split('\n').map((line) => line.trim());
  const said = lines.map((line) => /^(?:npm (?:error|ERR!)|E:|dpkg-deb: error:)\s+(.*)$/.exec(line)?.[1] ?? '');
  const isMessage = (line: string) => line !== '' && !/^(code|errno|syscall|path|A complete log)\b/i.test(line);
  return said.find(isMessage) ?? lines.findLast((line) => line !== '');
}
