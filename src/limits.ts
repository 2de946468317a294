/**
 * How many cores and how much memory this process may use: those of the machine, or what its control groups allow
 * (containers, SLURM, systemd). Node.js 20 and TensorFlow count those of the machine.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { join } from 'node:path';

/** Replacements for the root of the file system and what the system reports, for tests. */
export interface System {
  root?: string;
  cores?: number;
  total?: number;
  free?: number;
}

/**
 * Returns the number of whole cores that this process may use, at least 1: the cores of its affinity mask, or the smallest
 * quota of its control groups. A quota of 2.5 gives 2, as in newer versions of Node.js, because it would throttle a third thread.
 */
export function usableCores({ root = '/', cores = availableParallelism() }: System = {}): number {
  const quotas = groupsOf('cpu', root).map(({ folder, version }) => {
    const [quota, period] =
      version === 2
        ? textOf(join(folder, 'cpu.max')).split(' ')
        : ['quota', 'period'].map((each) => textOf(join(folder, `cpu.cfs_${each}_us`)));
    return Number(quota) / Number(period);
  });
  // `max` (version 2) and -1 (version 1) mean no quota.
  return Math.max(1, Math.floor(Math.min(cores, ...quotas.filter((quota) => quota > 0))));
}

/** Returns {@link usableCores} if a quota reduces it, else undefined. */
export function coreLimit(system: System = {}): number | undefined {
  const usable = usableCores(system);
  return usable < (system.cores ?? availableParallelism()) ? usable : undefined;
}

/**
 * Returns the bytes of memory that this process may use, and whether a control group limits them. Pages of the file cache
 * that the system can drop count as free.
 */
export function usableMemory({ root = '/', total = totalmem(), free = freemem() }: System = {}) {
  const memory = { total, free, isLimited: false };
  for (const { folder, version } of groupsOf('memory', root)) {
    const [limitFile, usedFile] =
      version === 2 ? ['memory.max', 'memory.current'] : ['memory.limit_in_bytes', 'memory.usage_in_bytes'];
    const limit = Number(textOf(join(folder, limitFile)) || Number.NaN);
    if (!(limit < total)) continue; // no limit: `max` in version 2, a very large number in version 1
    const cached = /^(?:total_)?inactive_file (\d+)$/m.exec(textOf(join(folder, 'memory.stat')))?.[1] ?? 0;
    const used = Math.max(0, Number(textOf(join(folder, usedFile))) - Number(cached));
    memory.total = Math.min(memory.total, limit);
    memory.free = Math.min(memory.free, Math.max(0, limit - used));
    memory.isLimited = true;
  }
  return memory;
}

/** Returns this process's control group of a controller and all groups above it, as far as they are visible. */
function groupsOf(controller: 'cpu' | 'memory', root: string) {
  const lines = textOf(join(root, 'proc/self/cgroup')).split('\n');
  const own = lines.map((line) => /^\d+:([^:]*):(.*)$/.exec(line) ?? []);
  return textOf(join(root, 'proc/self/mountinfo'))
    .split('\n')
    .flatMap((line) => {
      // 31 23 0:28 /shown /where rw - cgroup2 name rw,options; see proc_pid_mountinfo(5).
      const [mount = '', type = ''] = line.split(' - ');
      const [, , , shown = '', where = ''] = mount.split(' ').map(unescapeSpaces);
      const [kind, , options = ''] = type.split(' ');
      const has = (list = '') => list.split(',').includes(controller);
      if (kind !== 'cgroup2' && !(kind === 'cgroup' && has(options))) return [];
      const path = own.find(([, controllers]) => (kind === 'cgroup2' ? controllers === '' : has(controllers)))?.[2];
      if (path === undefined) return [];
      const parts = below(shown, path);
      const version = kind === 'cgroup2' ? 2 : 1;
      return [...parts, ''].map((_, i) => ({ folder: join(root, where, ...parts.slice(0, i)), version }));
    });
}

/** Returns the parts of a path below a folder; none for a path outside it. */
function below(folder: string, path: string): string[] {
  const base = folder === '/' ? '' : folder;
  if (path !== base && !path.startsWith(`${base}/`)) return [];
  const parts = path.slice(base.length).split('/');
  return parts.includes('..') ? [] : parts.filter((part) => part !== '');
}

/** A space in a path is `\040` in mountinfo. */
function unescapeSpaces(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return ''; // another system, or not readable: no known limit
  }
}
