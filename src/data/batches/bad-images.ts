/** Images that cannot be read: who hears of them, and what becomes of their places in a batch. */
import { DataError } from '../../errors.js';
import type { Dataset } from '../sets/idx-dataset.js';
import { nameAt } from '../sets/names.js';
import type { BadImage, FillSetup } from './fill-task.js';
import { batchName } from './pool.js';
import { slotViews } from './slots.js';

/** An image that cannot be read, for people. */
export interface Unreadable {
  /** From the data set's folder. */
  path: string;
  reason: string;
}

type SetKind = 'training' | 'test';

/** What is known of unreadable images by now. */
export interface Ledger {
  readonly images: readonly Unreadable[];
  /**
   * Takes what filling a batch found.
   * @throws DataError that names the first of them with `fail`; with `skip` when no training image can be read.
   */
  add(kind: SetKind, number: number, bad: readonly BadImage[], holes: readonly number[]): void;
  /** Whether a training image was skipped. */
  isUnreadable(index: number): boolean;
}

/** @param told of each image once. */
export function createLedger(
  dataset: Dataset,
  onBadImage: 'fail' | 'skip',
  told: (image: Unreadable) => void = () => {},
): Ledger {
  const images: Unreadable[] = [];
  const seen = { training: new Set<number>(), test: new Set<number>() };
  return {
    images,
    isUnreadable: (index) => seen.training.has(index),
    add(kind, number, bad, holes) {
      if (dataset.kind !== 'files') return;
      const { names } = kind === 'training' ? dataset.train : dataset.test;
      const [first] = bad;
      if (first && onBadImage === 'fail') throw unreadable(dataset.folder, nameAt(names, first.index), first.reason);
      for (const { index, reason } of bad) {
        if (seen[kind].has(index)) continue;
        seen[kind].add(index);
        const image = { path: nameAt(names, index), reason };
        images.push(image);
        told(image);
      }
      if (kind === 'training' && holes.length > 0) throw noneLeft(dataset.folder, kind, number);
    },
  };
}

function unreadable(folder: string, path: string, reason: string): DataError {
  return new DataError(
    `Cannot read the image ${path} of ${folder}: ${reason}, expected an image; take it away, or go on without it with --on-bad-image skip; \`data check\` lists all such images`,
  );
}

function noneLeft(folder: string, kind: SetKind, number: number): DataError {
  return new DataError(
    `Cannot fill ${batchName(kind, number)}: none of the training images of ${folder} can be read, expected some; \`data check\` lists why`,
  );
}

/**
 * Moves a batch's last images into the places that nothing was written to. The order of test images does not matter.
 * @returns how many images the batch has then.
 */
export function closeHoles(
  { batchSize, inputSize, inputChannels, slots }: FillSetup,
  slot: number,
  count: number,
  holes: readonly number[],
): number {
  const { images, labels } = slotViews(slots[slot]!, batchSize, inputSize, inputChannels);
  const values = inputSize * inputSize * inputChannels;
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
