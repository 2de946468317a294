/**
 * Trains many times in one process, as `ablate` does, and checks that nothing is left over:
 * `node dist/scripts/soak-one.js [--runs 50]`. Ends with 1 if memory grows by more than `MAX_GROWTH`, or if the number of
 * threads or open files grows.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { resolveConfig, train } from '../src/index.js';
import { listDevices } from '../src/native/c/context.js';
import { growthOf, inMb, MAX_GROWTH, WARM_UP } from './soak.js';
import { inTemporaryFolder, print } from './trainer.js';

/** With twelve runs the measured growth varied from -10 % to +14 %. */
const MIN_RUNS = 40;

/** Settings of the runs, in turn. */
const KINDS = [
  { placement: 'split' },
  { placement: 'single' },
  { placement: 'split', exchange: { dtype: 'float16', checksum: true } },
  { placement: 'split', exchange: { transport: 'device' }, compile: 'off' },
];

/** Returns the memory of the process in bytes, and on Linux its threads and open files. */
function resources(): { bytes: number; threads: number; files: number } {
  const countIn = (folder: string) => (existsSync(folder) ? readdirSync(folder).length : 0);
  return { bytes: process.memoryUsage.rss(), threads: countIn('/proc/self/task'), files: countIn('/proc/self/fd') };
}

async function main(runs: number, out: string): Promise<number> {
  const machine = { devices: listDevices().map(({ name }) => name), fashionMnist: false, now: new Date() };
  const common = { preset: 'mini', net: { width: 0.125 }, batchSize: 8, steps: 4, evalEvery: 2, checkpointEvery: 2 };
  const seen: ReturnType<typeof resources>[] = [];
  for (let i = 0; i < runs; i++) {
    const own = { ...KINDS[i % KINDS.length], check: i % 2 === 0, out, run: `run-${i}` };
    const { config } = resolveConfig([{ values: common }, { values: own }], machine);
    await train(config, { report: () => {}, signal: new AbortController().signal });
    rmSync(join(out, `run-${i}`), { recursive: true });
    const now = resources();
    seen.push(now);
    print(`run ${i + 1}: ${inMb(now.bytes)}, ${now.threads} threads, ${now.files} open files afterwards`);
  }
  const warm = seen.slice(Math.ceil(WARM_UP * runs));
  const growth = growthOf(warm.map(({ bytes }) => bytes));
  const [first, last] = [warm[0]!, warm.at(-1)!];
  print(`after the first ${runs - warm.length} runs memory grew by ${(100 * growth).toFixed(1)} %`);
  const isSame = last.threads <= first.threads && last.files <= first.files;
  if (!isSame) print(`WRONG: ${last.threads} threads and ${last.files} files, expected no more than after the first`);
  if (growth > MAX_GROWTH) print('WRONG: memory grew');
  return isSame && growth <= MAX_GROWTH ? 0 : 1;
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '50' } } });
if (Number(values.runs) >= MIN_RUNS) {
  process.exitCode = await inTemporaryFolder('soak', (out) => main(Number(values.runs), out));
} else {
  console.error(
    `error: --runs is ${values.runs}, expected at least ${MIN_RUNS}: with fewer runs the noise of the allocator is larger than the growth`,
  );
  process.exitCode = 2;
}
