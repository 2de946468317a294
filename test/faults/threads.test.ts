/**
 * In a program that trains and continues after a failed run, no thread of the run is left. Prints the table. On CPUs
 * `faults/table` counts the threads of the same faults.
 */
import './workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { train } from '../../src/index.js';
import { fewImages } from '../data/sets.js';
import { ON_GPU, SINGLE, smallConfig, smallNet } from '../equivalence/teams.js';
import { withFault } from './fault.js';

const THREADS = '/proc/self/task';
const skip = fs.existsSync(THREADS)
  ? !ON_GPU && process.env.FAULTS !== 'all' && 'FAULTS=all npm test -- faults/threads runs it on CPUs too'
  : `${THREADS} tells the threads of a process on Linux alone`;
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-threads-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const images = fewImages(folder);

const threads = () => fs.readdirSync(THREADS).length;

/** A run with a data thread, two towers and a writer of checkpoints. @returns its error, and its threads at their most. */
async function failing(run: string, fault: string | null, values: Record<string, unknown> = {}) {
  const { net, data } = smallNet('lenet', images);
  const config = smallConfig({
    ...{ net, data: { ...(data as object), workers: 1 }, out: folder, run },
    ...{ steps: 4, evalEvery: 2, checkpointEvery: 1, exchangeTimeoutMs: 3_000, ...values },
  });
  let most = 0;
  let error: string | undefined;
  const report = (event: { event: string; error?: string | undefined }) => {
    most = Math.max(most, threads());
    if (event.event === 'run_end') error = event.error;
  };
  try {
    await withFault(fault, () => train(config, { report, signal: new AbortController().signal }));
  } catch (thrown) {
    error = (thrown as Error).message;
  }
  return { error, most };
}

/** With the settings that the kind needs. A thread that is `stuck` in C cannot be ended, and is not among them. */
const FAULTS: Record<string, Record<string, unknown>> = {
  'throw@open:0': {},
  'throw@forward:3': {},
  'throw@evaluate:2': {},
  'throw@checkpoint:3': {},
  'exit@forward:3': {},
  'exit@backward:3': {},
  'hang@forward:3': {},
  'memory@forward:3': {},
  'heap@forward:3': {},
  'heap@backward:3': {},
  'nan@conv2:3': {},
  'late@conv2:3': {},
  'lost@conv2:3': {},
  'repeated@conv2:3': {},
  'reordered@conv2:3': {},
  'reshaped@conv2:3': {},
  'flipped@conv2:3': { exchange: { checksum: true } },
  'throw@data:3': {},
  'exit@data:3': {},
  'hang@data:3': {},
  'throw@forward:3 single': SINGLE,
};

/** Without `FAULTS=all`, because each takes seconds. */
const FEW = ['throw@forward:3', 'exit@backward:3'];
for (const name of FEW) assert.ok(name in FAULTS, name);

test('a failed train() leaves no thread in the process', { skip, timeout: 900_000 }, async () => {
  // The first run starts what stays, once for the process: TensorFlow's own pools and the threads of Node.js.
  for (const run of ['first', 'second']) assert.equal((await failing(run, null)).error, undefined);
  const before = threads();
  const rows: string[] = [];
  const chosen = process.env.FAULTS === 'all' ? Object.keys(FAULTS) : FEW;
  for (const name of chosen) {
    const values = FAULTS[name]!;
    const { error, most } = await failing(name.replaceAll(/\W/g, '-'), name, values);
    const left = threads() - before;
    assert.ok(error !== undefined, `${name} does not fail`);
    // A run that fails in `open` reports nothing while they are there.
    if (!name.includes('@open'))
      assert.ok(most >= before + 3, `${name}: ${most} threads at most, ${before} without a run`);
    assert.equal(left, 0, `${name}: of ${most} threads ${left} more than before are left`);
    rows.push(`| \`${name.split(' ')[0]}\` | ${values.placement ?? 'split'} | ${before} | ${most || ''} | ${left} |`);
  }
  console.log(['| fault | placement | before | at most | left |', '|---|---|---|---|---|', ...rows].join('\n'));
});
