/** Writes checkpoints without a training, for tests of their readers. */
import { mkdirSync } from 'node:fs';
import type { RunState } from '../../src/checkpoint/contents.js';
import { openTensors, valuesBytes } from '../../src/checkpoint/safetensors.js';
import { checkpointsFolder, writeCheckpoint } from '../../src/checkpoint/store.js';

/** The state of a run that learnt nothing, with changes. */
export function runState(step: number, changes: Partial<RunState> = {}): RunState {
  return {
    ...{ step, epoch: 1, epochImages: step, images: step, trainMs: 1, learningRate: 0.1, seed: 1, errors: [] },
    ...{ placement: 'split', config: {}, configHash: 'a'.repeat(64), classes: [] },
    data: { name: 'sample', trainImages: 100, testImages: 10 },
    versions: {},
    ...changes,
  };
}

/**
 * Writes a split run's checkpoint of that step into its folder.
 * @param state changes of {@link runState}.
 * @param towers files whose tensors it has; by default each tower has one number.
 * @returns the checkpoint's folder.
 */
export function putCheckpoint(
  folder: string,
  step: number,
  state: Partial<RunState> = {},
  towers?: readonly string[],
): string {
  const drafts = [0, 1].map((tower) => {
    if (towers) return tensorsOf(towers[tower]!);
    const entries = [{ name: `tower${tower}/fc/kernel`, shape: [1] }];
    return { entries, metadata: {}, values: new Uint8Array(valuesBytes(entries)) };
  });
  const checkpoints = checkpointsFolder(folder);
  mkdirSync(checkpoints, { recursive: true });
  return writeCheckpoint(checkpoints, { state: runState(step, state), towers: drafts }, { keep: 99 }).folder;
}

function tensorsOf(file: string) {
  const { entries, read, close } = openTensors(file);
  const values = entries.map(({ name, shape }) => Buffer.from(read(name, shape).buffer));
  close();
  return { entries, metadata: {}, values: new Uint8Array(Buffer.concat(values)) };
}
