/** Unreadable images: reported once, and removed from test batches. */
import { DataError } from '../../errors.js';
import type { Dataset } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import type { FillResult } from './filler.js';
import { describeBatch } from './plan.js';
import { imageValues, type SlotLayout, slotViews } from './slots.js';

export interface UnreadableImage {
  /** Relative to the data set's folder. */
  path: string;
  reason: string;
}

/** Collects the unreadable images of a run. Calls `onNew` once for each. */
export function listUnreadable(
  dataset: Dataset,
  onBadImage: 'fail' | 'skip',
  onNew?: (image: UnreadableImage) => void,
) {
  const images: UnreadableImage[] = [];
  const seen = { train: new Set<number>(), test: new Set<number>() };
  return {
    images: images as readonly UnreadableImage[],
    /** Whether a training image was skipped. */
    has: (index: number) => seen.train.has(index),
    /**
     * Adds what the filling of a batch found.
     * @throws DataError that names the first image with `fail`; with `skip` if no training image can be read.
     */
    add(part: 'train' | 'test', number: number, { bad, holes }: FillResult): void {
      if (dataset.kind !== 'files') return;
      const { folder } = dataset;
      for (const { index, reason } of bad) {
        const path = nameAt(dataset[part].names, index);
        if (onBadImage === 'fail') {
          throw new DataError(
            `Cannot read the image ${path} of ${folder}: ${reason}, expected an image; remove it, or continue without it with --on-bad-image skip; \`data check\` lists all such images`,
          );
        }
        if (seen[part].has(index)) continue;
        seen[part].add(index);
        images.push({ path, reason });
        onNew?.({ path, reason });
      }
      if (part === 'train' && holes.length > 0) {
        throw new DataError(
          `Cannot fill ${describeBatch('training', number)}: none of the training images of ${folder} can be read, expected at least one; \`data check\` lists why`,
        );
      }
    },
  };
}

/** Moves the last images of a test batch, whose order does not matter, into its holes. Returns how many are left. */
export function closeHoles(
  slot: SharedArrayBuffer,
  layout: SlotLayout,
  count: number,
  holes: readonly number[],
): number {
  const { images, labels } = slotViews(slot, layout);
  const values = imageValues(layout);
  const empty = new Set(holes);
  const left = count - empty.size;
  let from = count;
  for (const hole of [...empty].filter((place) => place < left)) {
    do from--;
    while (empty.has(from));
    images.copyWithin(hole * values, from * values, (from + 1) * values);
    labels[hole] = labels[from]!;
  }
  return left;
}
