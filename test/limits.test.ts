/** Cores and memory by control groups, with test folders instead of the system's. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { coreLimit, type System, usableCores, usableMemory } from '../src/limits.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-limits-'));
after(() => fs.rmSync(temporary, { recursive: true }));

const GIB = 2 ** 30;
const V2 = '29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';
let systems = 0;

/** A machine with 16 cores and 64 GiB, and these files. */
function system(mounts: string, groups: string, files: Record<string, string> = {}): Required<System> {
  const root = join(temporary, `${++systems}`);
  const all = { ...files, 'proc/self/mountinfo': `${mounts}\n`, 'proc/self/cgroup': `${groups}\n` };
  for (const [path, text] of Object.entries(all)) {
    fs.mkdirSync(dirname(join(root, path)), { recursive: true });
    fs.writeFileSync(join(root, path), `${text}\n`);
  }
  return { root, cores: 16, total: 64 * GIB, free: 50 * GIB };
}

const whole = { total: 64 * GIB, free: 50 * GIB, isLimited: false };

test("usableCores() and usableMemory() return the machine's numbers without limits", () => {
  for (const free of [
    system('', ''),
    { ...system('', ''), root: join(temporary, 'no such system') },
    system(V2, '0::/', { 'sys/fs/cgroup/cpu.max': 'max 100000', 'sys/fs/cgroup/memory.max': 'max' }),
    system(V2, '0::/user.slice', { 'sys/fs/cgroup/user.slice/cpu.max': '9900000 100000' }), // more than there is
  ]) {
    assert.deepEqual([usableCores(free), coreLimit(free), usableMemory(free)], [16, undefined, whole]);
  }
});

test("usableCores() returns the quota of a container's own group, in whole cores and at least one", () => {
  for (const [quota, cores] of [
    ['200000 100000', 2],
    ['250000 100000', 2],
    ['400000 50000', 8],
    ['20000 100000', 1],
  ] as const) {
    const container = system(V2, '0::/', { 'sys/fs/cgroup/cpu.max': quota });
    assert.deepEqual([usableCores(container), coreLimit(container)], [cores, cores], quota);
  }
});

test('usableCores() and usableMemory() use the smallest limit of all parent groups', () => {
  const files = {
    'sys/fs/cgroup/slurm/cpu.max': '800000 100000',
    'sys/fs/cgroup/slurm/memory.max': `${32 * GIB}`,
    'sys/fs/cgroup/slurm/memory.current': `${10 * GIB}`,
    'sys/fs/cgroup/slurm/job 1/cpu.max': '300000 100000',
    'sys/fs/cgroup/slurm/job 1/memory.max': `${8 * GIB}`,
    'sys/fs/cgroup/slurm/job 1/memory.current': `${3 * GIB}`,
    // What the system would give back at once.
    'sys/fs/cgroup/slurm/job 1/memory.stat': `anon ${2 * GIB}\nfile ${GIB}\ninactive_file ${GIB}\nactive_file 0`,
    'sys/fs/cgroup/slurm/job 1/task/cpu.max': 'max 100000',
    'sys/fs/cgroup/slurm/job 1/task/memory.max': 'max',
  };
  const job = system(V2, '0::/slurm/job 1/task', files);
  assert.equal(usableCores(job), 3);
  assert.deepEqual(usableMemory(job), { total: 8 * GIB, free: 6 * GIB, isLimited: true });
  assert.equal(usableMemory({ ...job, free: GIB }).free, GIB); // the machine has no more
});

test('usableCores() and usableMemory() support version 1, and containers that see only their own group', () => {
  const mounts = [
    '33 31 0:30 /docker/a\\040b /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct',
    '35 31 0:32 /docker/a\\040b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory',
    '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ].join('\n');
  const groups = '4:memory:/docker/a b\n1:cpu,cpuacct:/docker/a b/inner\n0::/';
  const files = {
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '500000',
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us': '-1',
    'sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': `${4 * GIB}`,
    'sys/fs/cgroup/memory/memory.usage_in_bytes': `${GIB}`,
  };
  const container = system(mounts, groups, files);
  assert.equal(usableCores(container), 5);
  assert.deepEqual(usableMemory(container), { total: 4 * GIB, free: 3 * GIB, isLimited: true });
  const unlimited = { ...files, 'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712' };
  assert.deepEqual(usableMemory(system(mounts, groups, unlimited)), whole);
  // The path is outside the visible groups, so the visible group counts.
  assert.equal(usableCores(system(mounts, '1:cpu,cpuacct:/../elsewhere', files)), 5);
});
