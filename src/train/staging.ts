/**
 * Batches on their way to the GPUs: the coordinator starts to copy a batch as soon as it is filled, while the towers compute
 * the step before it. Towers on one GPU with the same images have one copy. Towers on CPUs read the slot in place, and
 * TensorFlow sends the images to a server's tower with its command.
 */
import { imageValues } from '../data/batches/slots.js';
import { type Batch, slotViews } from '../data/index.js';
import { dropHandle, Uploader } from '../native/binding/upload.js';
import { findDevice, openContext } from '../native/c/context.js';
import type { Pointer } from '../native/c/signatures.js';
import type { Staged, TowerSetup } from '../tower/protocol.js';
import { rowsOf } from '../tower/replica.js';

export interface Staging {
  /** Starts to copy a batch, which stays lent until a command that has the result is done. */
  stage(batch: Pick<Batch, 'slot' | 'count'>): Staged | undefined;
  /** Notes that a command has it: its tower frees it. */
  give(staged: Staged): void;
  /** Waits for copies that no command has used, and frees them. */
  close(): void;
}

/** @param setups the towers', in their order. */
export function openStaging(setups: readonly TowerSetup[]): Staging {
  const [first] = setups;
  const { slots, layout } = first!;
  const { inputSize, channels } = layout;
  const uploader = new Uploader();
  /** What no command has been given yet. */
  const waiting = new Set<Staged>();
  let isClosed = false;
  let gpus: (string | undefined)[] | undefined;

  /** The full name of each tower's GPU, if it is one of this process. */
  function gpusOf(): (string | undefined)[] {
    return setups.map(({ device, context }) => {
      return device.toUpperCase().startsWith('GPU:') ? findDevice(openContext(context), device).fullName : undefined;
    });
  }

  /** The copies that the towers on GPUs need, each with the towers that share it. */
  function copiesOf(count: number) {
    gpus ??= gpusOf(); // not before the towers have opened: the first thread that asks makes the process's context
    const copies = new Map<string, { device: string; from: number; to: number; towers: number[] }>();
    for (const [tower, { replica }] of setups.entries()) {
      const device = gpus[tower];
      const { from, to } = rowsOf(count, replica);
      if (device === undefined || from === to) continue;
      const key = `${device} ${from}`;
      const copy = copies.get(key) ?? { device, from, to, towers: [] };
      copies.set(key, copy);
      copy.towers.push(tower);
    }
    return [...copies.values()];
  }

  return {
    stage({ slot, count }) {
      if (isClosed || count === 0) return undefined;
      const copies = copiesOf(count);
      if (copies.length === 0) return undefined;
      const { images } = slotViews(slots[slot]!, layout);
      const size = imageValues(layout);
      const staged = setups.map((): Pointer | undefined => undefined);
      for (const { device, from, to, towers } of copies) {
        const values = images.subarray(from * size, to * size);
        const shape = [to - from, inputSize, inputSize, channels];
        const handles = uploader.start(device, shape, values, towers.length);
        for (const [i, tower] of towers.entries()) staged[tower] = handles[i];
      }
      waiting.add(staged);
      return staged;
    },
    give(staged) {
      waiting.delete(staged);
    },
    close() {
      isClosed = true;
      uploader.close();
      for (const handle of [...waiting].flat()) if (handle !== undefined) dropHandle(handle);
      waiting.clear();
    },
  };
}
