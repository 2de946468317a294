/**
 * How many cores and how much memory this process may use: the machine's, or what its control groups leave of them
 * (containers, SLURM, systemd). Node.js 20 and TensorFlow count the machine's.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { join } from 'node:path';

/** Bytes. */
export interface Memory {
  total: number;
  free: number;
  /** Whether it is a control group's limit, and not all that the machine has. */
  isLimited: boolean;
}

/** What the system has, for tests: where its files are, and what it counts by itself. */
export interface System {
  root?: string;
  cores?: number;
  total?: number;
  free?: number;
}

/**
 * Whole cores that this process may use, at least one: those that it may run on, and no more than the smallest quota of its
 * control groups. Of a quota of 2.5 it is 2, as newer versions of Node.js count, for a third thread would be held up.
 */
export function usableCores({ root = '/', cores = availableParallelism() }: System = {}): number {
  const quotas = foldersOf('cpu', root).map(({ folder, version }) => {
    const [quota, period] =
      version === 2
        ? textOf(join(folder, 'cpu.max')).split(' ')
        : ['quota', 'period'].map((each) => textOf(join(folder, `cpu.cfs_${each}_us`)));
    return Number(quota) / Number(period);
  });
  // `max` and -1 are none.
  return Math.max(1, Math.floor(Math.min(cores, ...quotas.filter((quota) => quota > 0))));
}

/** {@link usableCores} where a quota makes it fewer than those that this process may run on; else undefined. */
export function coreLimit(system: System = {}): number | undefined {
  const usable = usableCores(system);
  return usable < (system.cores ?? availableParallelism()) ? usable : undefined;
}

/** The memory that this process may use. Files that the system keeps in memory until it needs the room count as free. */
export function usableMemory({ root = '/', total = totalmem(), free = freemem() }: System = {}): Memory {
  const memory = { total, free, isLimited: false };
  for (const { folder, version } of foldersOf('memory', root)) {
    const [limitFile, usedFile] =
      version === 2 ? ['memory.max', 'memory.current'] : ['memory.limit_in_bytes', 'memory.usage_in_bytes'];
    const limit = Number(textOf(join(folder, limitFile)) || Number.NaN);
    if (!(limit < total)) continue; // `max`, and version 1's largest number
    const kept = /^(?:total_)?inactive_file (\d+)$/m.exec(textOf(join(folder, 'memory.stat')))?.[1] ?? 0;
    const used = Math.max(0, Number(textOf(join(folder, usedFile))) - Number(kept));
    memory.total = Math.min(memory.total, limit);
    memory.free = Math.min(memory.free, Math.max(0, limit - used));
    memory.isLimited = true;
  }
  return memory;
}

interface Group {
  folder: string;
  version: 1 | 2;
}

/** The folders of this process's control group of that kind and of all above it, as far as they can be seen. */
function foldersOf(controller: 'cpu' | 'memory', root: string): Group[] {
  const groups = textOf(join(root, 'proc/self/cgroup')).split('\n');
  return textOf(join(root, 'proc/self/mountinfo'))
    .split('\n')
    .flatMap((line) => {
      // 31 23 0:28 /shown /where rw - cgroup2 name rw,options; see proc_pid_mountinfo(5).
      const [place = '', type = ''] = line.split(' - ');
      const [, , , shown = '', where = ''] = place.split(' ');
      const [kind, , options = ''] = type.split(' ');
      const version =
        kind === 'cgroup2' ? 2 : kind === 'cgroup' && options.split(',').includes(controller) ? 1 : undefined;
      if (version === undefined) return [];
      const own = groups
        .map((group) => /^\d+:([^:]*):(.*)$/.exec(group))
        .find((match) => {
          return version === 2 ? match?.[1] === '' : match?.[1]?.split(',').includes(controller);
        });
      return own ? ancestors(join(root, unescaped(where)), below(shown, own[2]!), version) : [];
    });
}

/** What is left of the path under the folder that is shown; nothing for a path that is not under it. */
function below(shown: string, path: string): string[] {
  const base = shown === '/' ? '' : unescaped(shown);
  const isUnder = path === base || path.startsWith(`${base}/`);
  const parts = isUnder
    ? path
        .slice(base.length)
        .split('/')
        .filter((part) => part !== '')
    : [];
  return parts.includes('..') ? [] : parts;
}

function ancestors(mount: string, parts: string[], version: 1 | 2): Group[] {
  return [...parts, ''].map((_, i) => ({ folder: join(mount, ...parts.slice(0, i)), version }));
}

/** A space in a path is `\040` in mountinfo. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return ''; // another system, or not to be read: no limit that we know of
  }
}
