/** What tests share: they start processes, read what a process prints and writes while it runs, and work in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StringDecoder } from 'node:string_decoder';
import { fileURLToPath } from 'node:url';
import type { LogEvent } from '../src/log.js';

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));

/** A net with all features (dropout, crops and flips, momentum, data workers) that takes a few milliseconds per step. */
export const SMALL_RUN = ['--preset', 'mini', '--width', '0.125', '--batch-size', '8', '--no-check'];

export interface Trainer {
  child: ChildProcess;
  /** Resolves when the process has ended. The exit code is null if a signal killed it. */
  ended: Promise<{ exitCode: number | null; stderr: string }>;
}

/**
 * Starts `alexnet-split train --json`.
 * @param onEvent called with each event that the trainer prints.
 * @param nodeFlags flags for Node.js. Descriptor 3 of the process is a pipe.
 */
export function startTrainer(
  args: readonly string[],
  onEvent: (event: LogEvent) => void,
  nodeFlags: readonly string[] = [],
): Trainer {
  const child = spawn(process.execPath, [...nodeFlags, CLI, 'train', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  eachLine(child.stdout!, (line) => onEvent(JSON.parse(line)));
  const { ended } = collect(child, ['stderr']);
  return { child, ended: ended.then(({ code, stderr }) => ({ exitCode: code, stderr })) };
}

/** How a process ended, and what it printed. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

type Output = 'stdout' | 'stderr';

/** What a process prints, collected while it runs. */
export interface Collected {
  /** What it has printed up to now. The last line may not be complete. */
  printed: Readonly<Record<Output, string>>;
  /** Resolves when the process has printed the text. Rejects if the process ends without it. */
  hasPrinted(text: string | RegExp, output?: Output): Promise<void>;
  ended: Promise<Ended>;
}

/**
 * Collects what a process prints. A pipe may deliver a line, or a character, in several pieces, so no piece is looked at alone.
 * @param outputs those of its outputs that are pipes and that nobody else reads.
 */
export function collect(child: ChildProcess, outputs: readonly Output[] = ['stdout', 'stderr']): Collected {
  const printed = { stdout: '', stderr: '' };
  const looks = new Set<() => void>();
  for (const output of outputs) {
    child[output]?.setEncoding('utf8').on('data', (text: string) => {
      printed[output] += text;
      for (const look of looks) look();
    });
  }
  const ended: Promise<Ended> = once(child, 'close').then(([code, signal]) => ({ code, signal, ...printed }));
  ended.catch(() => {}); // it is for who waits for the end
  const hasPrinted = (text: string | RegExp, output: Output = 'stdout') =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        const isThere = typeof text === 'string' ? printed[output].includes(text) : printed[output].search(text) >= 0;
        if (!isThere) return;
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      look();
      ended.then((end) => reject(new Error(`it ended and did not print ${text}: ${JSON.stringify(end)}`)), reject);
    });
  return { printed, hasPrinted, ended };
}

export function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  createInterface({ input: stream }).on('line', onLine);
}

/**
 * Returns the complete lines of a file that a process may still be writing; none if there is no such file yet. The file may be
 * longer than Node's longest string.
 * @param chunkBytes how much is read at a time.
 */
export function wholeLines(file: string, chunkBytes = 2 ** 20): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  try {
    const lines: string[] = [];
    const decoder = new StringDecoder('utf8'); // a character may be in two chunks
    const chunk = Buffer.alloc(chunkBytes);
    let rest = '';
    for (let bytes = readSync(descriptor, chunk); bytes > 0; bytes = readSync(descriptor, chunk)) {
      const pieces = (rest + decoder.write(chunk.subarray(0, bytes))).split('\n');
      rest = pieces.pop()!;
      lines.push(...pieces);
    }
    return lines;
  } finally {
    closeSync(descriptor);
  }
}

/** Returns the complete lines of a run's log; none if there is no log yet. Throws at a line that no run may write. */
export function eventsIn(folder: string): (LogEvent & { time: number })[] {
  return wholeLines(join(folder, 'log.ndjson')).map((line) => JSON.parse(line));
}

export const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Calls `action` with a new folder, and removes the folder afterwards. */
export async function inTemporaryFolder<T>(name: string, action: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `alexnet-split-${name}-`));
  try {
    return await action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether Node.js was started with this module. @param url `import.meta.url`. */
export function isEntry(url: string): boolean {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}
