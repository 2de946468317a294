/** Cards and driver, with folders and programs instead of the system's own. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { hasNvidiaCard, hasNvidiaDevice, readNvidia, visibleCards } from '../../../src/native/install/nvidia.js';

const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-nvidia-'));
after(() => fs.rmSync(temporary, { recursive: true }));

const { PATH, CUDA_VISIBLE_DEVICES } = process.env;
afterEach(() => {
  process.env.PATH = PATH;
  setVisible(CUDA_VISIBLE_DEVICES);
});
let folders = 0;

function setVisible(value: string | undefined): void {
  if (value === undefined) delete process.env.CUDA_VISIBLE_DEVICES;
  else process.env.CUDA_VISIBLE_DEVICES = value;
}

/** A system's root with these files, and the only programs there are. */
function machine(files: Record<string, string>, smi?: string): string {
  const root = join(temporary, `${++folders}`);
  fs.mkdirSync(root);
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(root, path)), { recursive: true });
    fs.writeFileSync(join(root, path), text);
  }
  fs.mkdirSync(join(root, 'bin'));
  if (smi !== undefined) fs.writeFileSync(join(root, 'bin/nvidia-smi'), `#!/bin/sh\n${smi}\n`, { mode: 0o755 });
  process.env.PATH = join(root, 'bin');
  setVisible(undefined);
  return root;
}

const PCI = {
  'sys/bus/pci/devices/0000:01:00.0/vendor': '0x10de\n',
  'sys/bus/pci/devices/0000:01:00.0/class': '0x030200\n',
  // An NVIDIA switch, and another vendor's card.
  'sys/bus/pci/devices/0000:02:00.0/vendor': '0x10de\n',
  'sys/bus/pci/devices/0000:02:00.0/class': '0x068000\n',
  'sys/bus/pci/devices/0000:03:00.0/vendor': '0x1002\n',
  'sys/bus/pci/devices/0000:03:00.0/class': '0x030000\n',
};

test('hasNvidiaDevice() finds device files, unless CUDA_VISIBLE_DEVICES hides them', () => {
  assert.equal(hasNvidiaDevice(machine({ 'dev/nvidiactl': '', 'dev/null': '' })), false);
  const root = machine({ 'dev/nvidia0': '' });
  for (const path of [
    'dev/nvidia3', // a container's only card
    'usr/lib/wsl/lib/libcuda.so.1',
  ]) {
    assert.equal(hasNvidiaDevice(machine({ [path]: '' })), true, path);
  }
  for (const [visible, expected] of [
    ['0', true],
    ['1,0', true],
    [' 0', true],
    ['0,-1', true],
    ['GPU-5ebe9f43-ac33420d', true],
    ['MIG-b5f3', true],
    ['', false],
    ['-1', false],
    ['-1,0', false],
    [' ', false],
    [',0', false],
    ['NoDevFiles', false], // SLURM sets it in a job without GPUs
    ['none', false],
    ['void', false],
  ] as const) {
    setVisible(visible);
    assert.equal(hasNvidiaDevice(root), expected, `CUDA_VISIBLE_DEVICES="${visible}"`);
    assert.equal(hasNvidiaCard(root), expected, `CUDA_VISIBLE_DEVICES="${visible}"`);
  }
});

test("hasNvidiaDevice() does not take the host's list for a device of this container", () => {
  const list = { 'proc/driver/nvidia/gpus/0000:01:00.0/information': '', 'proc/driver/nvidia/version': '', ...PCI };
  const root = machine({ ...list, 'dev/null': '' });
  assert.deepEqual([hasNvidiaDevice(root), hasNvidiaCard(root)], [false, true]);
  // A driver that nobody has used since the start: CUDA makes the files.
  assert.equal(hasNvidiaDevice(machine({ ...list, 'usr/bin/nvidia-modprobe': '' })), true);
});

test('visibleCards() distinguishes hidden cards from a misspelled variable', () => {
  const root = machine({ 'dev/nvidia0': '' });
  for (const visible of ['all', 'cuda:0', 'gpu0', 'GPU:0', '"0"']) {
    setVisible(visible);
    assert.deepEqual([visibleCards(), hasNvidiaDevice(root), hasNvidiaCard(root)], ['mistaken', false, true], visible);
  }
});

test('hasNvidiaCard() finds a card without a driver on the PCI bus', () => {
  const root = machine(PCI);
  assert.deepEqual([hasNvidiaDevice(root), hasNvidiaCard(root)], [false, true]);
  setVisible('-1');
  assert.equal(hasNvidiaCard(root), false);
  assert.equal(hasNvidiaCard(machine({ 'sys/bus/pci/devices/0000:03:00.0/vendor': '0x1002' })), false);
});

test('readNvidia() reads the list of nvidia-smi', () => {
  const root = machine(
    {},
    'echo "$1" | while IFS= read -r line; do case "$line" in --query-gpu=index,name,driver_version,memory.total,memory.free,compute_cap) echo "0, NVIDIA H100 80GB HBM3, 535.104.05, 81559, 80000, 9.0"; echo "1, Tesla P4, 535.104.05, [N/A], 7000, 6.1";; esac; done',
  );
  assert.deepEqual(readNvidia(root), {
    cards: [
      { name: 'NVIDIA H100 80GB HBM3', computeCapability: '9.0', memoryMiB: 81559 },
      { name: 'Tesla P4', computeCapability: '6.1' },
    ],
    driver: '535.104.05',
  });
});

test('readNvidia() asks an old nvidia-smi without the field that it does not know', () => {
  const old = `case "$1" in *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;; esac
echo "0, Tesla K80, 470.82.01, 11441, 11000"`;
  assert.deepEqual(readNvidia(machine({}, old)), {
    cards: [{ name: 'Tesla K80', memoryMiB: 11441 }],
    driver: '470.82.01',
  });
});

test("readNvidia() reads the driver's own files if there is no nvidia-smi, or it fails", () => {
  const files = {
    'proc/driver/nvidia/gpus/0000:01:00.0/information': 'Model: \t\t NVIDIA A10\nIRQ:   \t\t 16\n',
    'proc/driver/nvidia/version':
      'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: gcc 13\n',
    ...PCI,
  };
  const found = { cards: [{ name: 'NVIDIA A10' }], driver: '570.86.15' };
  assert.deepEqual(readNvidia(machine(files)), { ...found, complaint: 'it is not installed' });
  const closed = 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n';
  const fails = 'echo "Failed to initialize NVML: Driver/library version mismatch"; echo more; exit 18';
  assert.deepEqual(readNvidia(machine({ ...files, 'proc/driver/nvidia/version': closed }, fails)), {
    ...found,
    driver: '535.104.05',
    complaint: 'Failed to initialize NVML: Driver/library version mismatch',
  });
  assert.deepEqual(readNvidia(machine(PCI)), {
    cards: [{ name: 'NVIDIA device at 0000:01:00.0' }],
    complaint: 'it is not installed',
  });
});
