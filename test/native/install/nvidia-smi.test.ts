/** Runs shell scripts named nvidia-smi that answer like NVIDIA's program. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'node:test';
import { ConfigError, SetupError } from '../../../src/errors.js';
import { cardTopology, listCards, logicalMiB, monitorMemory } from '../../../src/native/install/nvidia-smi.js';

/** Two cards; `--id=1`, or a UUID, asks for the second alone; `topo` draws a table. */
const ANSWERS = `case "$*" in
  topo*) echo 'GPU0 GPU1' ;;
  *--id=1|*--id=GPU-b) echo '1, Card B, 550.54, 11264, 11000, 7.5' ;;
  *--id=0) echo '0, Card A, 550.54, 81559, 500, 8.0' ;;
  *--id*) exit 6 ;;
  *) echo '0, Card A, 550.54, 81559, 500, 8.0'; echo '1, Card B, 550.54, 11264, 11000, 7.5' ;;
esac`;

/** Runs `use` with this shell script as `nvidia-smi`, or without any. */
async function withProgram(script: string | undefined, use: () => void | Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-smi-'));
  const before = process.env.PATH;
  try {
    if (script !== undefined) fs.writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = script === undefined ? folder : `${folder}${delimiter}${before}`;
    await use();
  } finally {
    process.env.PATH = before;
    fs.rmSync(folder, { recursive: true });
  }
}

test('listCards() gives name, driver, memory and compute capability of every card', async () => {
  await withProgram(ANSWERS, () => {
    const common = { driver: '550.54' };
    assert.deepEqual(listCards(), [
      { ...common, index: 0, name: 'Card A', computeCapability: '8.0', memoryMiB: 81559, freeMiB: 500 },
      { ...common, index: 1, name: 'Card B', computeCapability: '7.5', memoryMiB: 11264, freeMiB: 11000 },
    ]);
    assert.equal(cardTopology(), 'GPU0 GPU1\n');
  });
});

test('listCards() leaves out what the driver does not know, and is undefined without nvidia-smi', async () => {
  const old = `case "$*" in *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;; *) echo '0, Old, 390.1, [N/A], [N/A]' ;; esac`;
  await withProgram(old, () => assert.deepEqual(listCards(), [{ index: 0, name: 'Old', driver: '390.1' }]));
  await withProgram('exit 9', () => assert.equal(listCards(), undefined));
  await withProgram(undefined, () => assert.deepEqual([listCards(), cardTopology()], [undefined, undefined]));
});

test('logicalMiB() is 45 % of the free memory of the card with that CUDA number', async () => {
  await withProgram(ANSWERS, () => {
    assert.equal(logicalMiB(1, {}), 4950);
    assert.equal(logicalMiB(0, { CUDA_VISIBLE_DEVICES: '1' }), 4950);
    assert.equal(logicalMiB(1, { CUDA_VISIBLE_DEVICES: '0, GPU-b' }), 4950);
    assert.equal(logicalMiB(0, { ALEXNET_SPLIT_LOGICAL_MIB: '3000' }), 3000);
  });
});

test('logicalMiB() fails with one sentence if the free memory is too small or unknown', async () => {
  const setup = (message: RegExp) => (error: Error) => error instanceof SetupError && message.test(error.message);
  await withProgram(ANSWERS, () => {
    assert.throws(
      () => logicalMiB(0, {}),
      setup(/^Cannot split GPU:0: 500 MiB of its memory are free, expected at least 569;/),
    );
    assert.throws(
      () => logicalMiB(7, {}),
      setup(/^Cannot split GPU:7: nvidia-smi does not say .*ALEXNET_SPLIT_LOGICAL_MIB/),
    );
  });
  for (const wrong of ['0', '1.5', '-1', 'all']) {
    assert.throws(
      () => logicalMiB(0, { ALEXNET_SPLIT_LOGICAL_MIB: wrong }),
      (error) => error instanceof ConfigError && /expected a whole number of MiB above 0$/.test(error.message),
    );
  }
});

test('monitorMemory() gives the first and the largest use of each card', async () => {
  // The real program samples until it is killed. This one makes the file after its last sample.
  const samples = `echo '0, 1000, 900'; echo '1, 1000, 1000'; echo '0, 1000, 300'; echo '0, 1000, 800'; : > "$DONE"; exec sleep 60`;
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-smi-'));
  process.env.DONE = join(folder, 'done');
  await withProgram(samples, async () => {
    const stop = await monitorMemory();
    while (!fs.existsSync(process.env.DONE!)) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 5)); // what it wrote before is read
    assert.deepEqual(stop!(), [
      { index: 0, beforeMiB: 100, peakMiB: 700 },
      { index: 1, beforeMiB: 0, peakMiB: 0 },
    ]);
  });
  fs.rmSync(folder, { recursive: true });
  for (const script of [undefined, 'exit 9', "echo 'No devices were found'", "echo '0, [N/A], [N/A]'"]) {
    await withProgram(script, async () => assert.equal(await monitorMemory(), undefined));
  }
});
