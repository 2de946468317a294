/** With programs of that name that answer as NVIDIA's does. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'node:test';
import { ConfigError, SetupError } from '../../../src/errors.js';
import { cardTopology, listCards, logicalMiB } from '../../../src/native/install/nvidia-smi.js';

/** Two cards; `--id=1`, or a UUID, asks for the second alone; `topo` draws a table. */
const ANSWERS = `case "$*" in
  topo*) echo 'GPU0 GPU1' ;;
  *--id=1|*--id=GPU-b) echo '1, Card B, 550.54, 11264, 11000, 7.5' ;;
  *--id=0) echo '0, Card A, 550.54, 81559, 500, 8.0' ;;
  *--id*) exit 6 ;;
  *) echo '0, Card A, 550.54, 81559, 500, 8.0'; echo '1, Card B, 550.54, 11264, 11000, 7.5' ;;
esac`;

/** Runs with a `nvidia-smi` that is this shell script, or without any. */
function withProgram(script: string | undefined, use: () => void): void {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-smi-'));
  const before = process.env.PATH;
  try {
    if (script !== undefined) fs.writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = script === undefined ? folder : `${folder}${delimiter}${before}`;
    use();
  } finally {
    process.env.PATH = before;
    fs.rmSync(folder, { recursive: true });
  }
}

test('listCards() tells name, driver, memory and compute capability of every card', () => {
  withProgram(ANSWERS, () => {
    const common = { driver: '550.54' };
    assert.deepEqual(listCards(), [
      { ...common, index: 0, name: 'Card A', computeCapability: '8.0', memoryMiB: 81559, freeMiB: 500 },
      { ...common, index: 1, name: 'Card B', computeCapability: '7.5', memoryMiB: 11264, freeMiB: 11000 },
    ]);
    assert.equal(cardTopology(), 'GPU0 GPU1\n');
  });
});

test('listCards() does without what a driver does not know, and without the program', () => {
  const old = `case "$*" in *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;; *) echo '0, Old, 390.1, [N/A], [N/A]' ;; esac`;
  withProgram(old, () => assert.deepEqual(listCards(), [{ index: 0, name: 'Old', driver: '390.1' }]));
  withProgram('exit 9', () => assert.equal(listCards(), undefined));
  withProgram(undefined, () => assert.deepEqual([listCards(), cardTopology()], [undefined, undefined]));
});

test('logicalMiB() is 45 % of what is free on the card that CUDA numbers so', () => {
  withProgram(ANSWERS, () => {
    assert.equal(logicalMiB(1, {}), 4950);
    assert.equal(logicalMiB(0, { CUDA_VISIBLE_DEVICES: '1' }), 4950);
    assert.equal(logicalMiB(1, { CUDA_VISIBLE_DEVICES: '0, GPU-b' }), 4950);
    assert.equal(logicalMiB(0, { ALEXNET_SPLIT_LOGICAL_MIB: '3000' }), 3000);
  });
});

test('logicalMiB() refuses in one sentence where there is no memory to share', () => {
  const setup = (message: RegExp) => (error: Error) => error instanceof SetupError && message.test(error.message);
  withProgram(ANSWERS, () => {
    assert.throws(
      () => logicalMiB(0, {}),
      setup(/^Cannot split GPU:0: 500 MiB of its memory are free, expected at least 569;/),
    );
    assert.throws(
      () => logicalMiB(7, {}),
      setup(/^Cannot split GPU:7: nvidia-smi does not tell .*ALEXNET_SPLIT_LOGICAL_MIB/),
    );
  });
  for (const wrong of ['0', '1.5', '-1', 'all']) {
    assert.throws(
      () => logicalMiB(0, { ALEXNET_SPLIT_LOGICAL_MIB: wrong }),
      (error) => error instanceof ConfigError && /expected a whole number of MiB above 0$/.test(error.message),
    );
  }
});
