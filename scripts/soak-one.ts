/**
 * Trains many times in one process, as `ablate` and other programs do, and watches what stays in it:
 * `node dist/scripts/soak-one.js [--runs 50]`. Ends with 1 when memory grows by more than `MOST_GROWTH`, or when a thread or
 * an open file is left.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { resolveConfig, train } from '../src/index.js';
import { listDevices } from '../src/native/c/context.js';
import { growthOf, MOST_GROWTH } from './soak.js';

/** The first runs start what stays: TensorFlow's pools, Node's threads, what the allocator keeps. */
const WARM_UP = 0.2;

/** Of twelve, memory went from a tenth down to a seventh up. */
const FEWEST = 40;

/** Settings of the runs, in turn. */
const KINDS = [
  { placement: 'split' },
  { placement: 'single' },
  { placement: 'split', exchange: { dtype: 'float16', checksum: true } },
  { placement: 'split', exchange: { transport: 'device' }, compile: 'off' },
];

/** What the process holds: bytes, and on Linux threads and open files. */
function held(): { bytes: number; threads: number; files: number } {
  const countIn = (folder: string) => (existsSync(folder) ? readdirSync(folder).length : 0);
  return { bytes: process.memoryUsage.rss(), threads: countIn('/proc/self/task'), files: countIn('/proc/self/fd') };
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '50' } } });
const runs = Number(values.runs);
if (!(runs >= FEWEST)) {
  console.error(
    `error: --runs is ${values.runs}, expected ${FEWEST} or more: of fewer, what the allocator keeps is all that shows`,
  );
  process.exit(2);
}
const out = mkdtempSync(join(tmpdir(), 'alexnet-split-soak-'));
const machine = { devices: listDevices().map(({ name }) => name), fashionMnist: false, now: new Date() };
const common = { preset: 'mini', net: { width: 0.125 }, batchSize: 8, steps: 4, evalEvery: 2, checkpointEvery: 2 };
const seen: ReturnType<typeof held>[] = [];
for (let i = 0; i < runs; i++) {
  const own = { ...KINDS[i % KINDS.length], check: i % 2 === 0, out, run: `run-${i}` };
  const { config } = resolveConfig([{ values: common }, { values: own }], machine);
  await train(config, { report: () => {}, signal: new AbortController().signal });
  rmSync(join(out, `run-${i}`), { recursive: true });
  const now = held();
  seen.push(now);
  console.log(
    `run ${i + 1}: ${(now.bytes / 1e6).toFixed(1)} MB, ${now.threads} threads, ${now.files} open files afterwards`,
  );
}
rmSync(out, { recursive: true });

const warm = seen.slice(Math.ceil(WARM_UP * seen.length));
const growth = growthOf(warm.map(({ bytes }) => bytes));
const [first, last] = [warm[0]!, warm.at(-1)!];
console.log(`after the first ${seen.length - warm.length} runs memory grew by ${(100 * growth).toFixed(1)} %`);
const isSame = last.threads <= first.threads && last.files <= first.files;
if (!isSame)
  console.log(`WRONG: ${last.threads} threads and ${last.files} files, expected no more than after the first`);
if (growth > MOST_GROWTH) console.log('WRONG: memory grew');
process.exitCode = isSame && growth <= MOST_GROWTH ? 0 : 1;
