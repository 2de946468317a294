/** What the long tests share: they start the trainer, read the log of a run, and work in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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
  let stderr = '';
  child.stderr!.on('data', (bytes) => {
    stderr += bytes;
  });
  eachLine(child.stdout!, (line) => onEvent(JSON.parse(line)));
  return { child, ended: once(child, 'close').then(([exitCode]) => ({ exitCode, stderr })) };
}

export function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  createInterface({ input: stream }).on('line', onLine);
}

/** Returns the complete lines of a run's log; none if there is no log yet. Throws at a line that no run may write. */
export function eventsIn(folder: string): (LogEvent & { time: number })[] {
  const file = join(folder, 'log.ndjson');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
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
