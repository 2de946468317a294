/** What is said of a card that TensorFlow has no GPU for. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { GpuFacts } from '../../src/native/install/gpu-support.js';
import { type Outcome, run } from './stand-ins.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-gpu-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

const UNUSED: GpuFacts = {
  nvidia: { cards: [{ name: 'NVIDIA A10' }], complaint: 'it is not installed' },
  hasDriver: false,
  flavour: 'cpu',
  driver: { cards: [] },
  libraries: [],
  gpus: 0,
};
const SAID =
  /^warning: TensorFlow has no GPU, though there is an NVIDIA card \(NVIDIA A10\), so all runs on the CPU: no driver of NVIDIA's is loaded; install .*; CUDA_VISIBLE_DEVICES=-1 hides the card, and ends this warning\n/;
const SAID_AGAIN =
  /\nwarning: all of this ran on the CPU, though there is an NVIDIA card; `alexnet-split doctor` says why, .*\n$/;

function unused(argv: string[], facts = UNUSED): Promise<Outcome> {
  return run(argv, { examineGpus: async () => facts });
}

test('train says that a card is not used, on stderr at its beginning and its end, and in the log after run_start', async () => {
  const { exitCode, stderr } = await unused(['train', '--out', out, '--run', 'r']);
  assert.equal(exitCode, 0);
  assert.match(stderr.text, SAID);
  assert.match(stderr.text, SAID_AGAIN);
  const [first, second] = fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8').split('\n');
  assert.match(first!, /"event":"run_start"/);
  assert.match(second!, /"event":"warning","message":"TensorFlow has no GPU/);
  assert.match((await unused(['train', '--out', out, '--run', 'q', '--quiet'])).stderr.text, SAID);
});

test('train says nothing of cards to who names devices, nor where TensorFlow has the GPUs', async () => {
  const named = await unused(['train', '--out', out, '--run', 'n', '--devices', 'CPU:0,CPU:1']);
  const used = await unused(['train', '--out', out, '--run', 'u'], { ...UNUSED, hasDriver: true, gpus: 1 });
  for (const { exitCode, stderr } of [named, used]) assert.deepEqual([exitCode, stderr.text], [0, '']);
});

test('devices says why a card is not in its list, and leaves stdout to the list', async () => {
  const { exitCode, stdout, stderr } = await unused(['devices', '--json']);
  assert.equal(exitCode, 0);
  assert.equal(JSON.parse(stdout.text).length, 2);
  assert.match(stderr.text, SAID);
});
