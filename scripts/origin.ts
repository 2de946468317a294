/** The machine and the commit of a measurement, and JSON files of measurements. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { usableCores, usableMemory } from '../src/limits.js';
import { TENSORFLOW_VERSION } from '../src/native/install/wheels.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export function originNow() {
  return {
    date: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: usableCores(),
    memoryGiB: Math.round(usableMemory().total / 2 ** 30),
    gpu: output('nvidia-smi', '--query-gpu=name', '--format=csv,noheader')?.split('\n').join(', ') || 'none',
    node: process.versions.node,
    tensorflow: TENSORFLOW_VERSION,
  };
}

/** Writes numbers that are not whole with six digits, which is more than a measurement has. */
export function writeJson(file: string, value: object): void {
  const isFraction = (each: unknown): each is number => typeof each === 'number' && !Number.isInteger(each);
  const rounded = (_key: string, each: unknown) => (isFraction(each) ? Number(each.toPrecision(6)) : each);
  writeFileSync(file, `${JSON.stringify(value, rounded, 2)}\n`);
}

function commit(): string {
  const head = output('git', 'rev-parse', '--short', 'HEAD');
  return head ? `${head}${output('git', 'status', '--porcelain', 'src') ? ' and changes' : ''}` : 'unknown';
}

/** What a program prints; undefined if it is not there or fails. */
function output(command: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
