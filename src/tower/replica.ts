/** Replicas of the net: each trains with its own rows of a batch. A replica is a pair of towers, or the whole net in one. */

/** Which part of the net a tower has: a half, or all of it. */
export type Part = 0 | 1 | 'whole';

/** Which of how many; from 0. */
export interface Replica {
  readonly index: number;
  readonly count: number;
}

export const ONLY: Replica = { index: 0, count: 1 };

/** The rows of a batch that a replica has: as many in each, or one more. None if there are fewer images than replicas. */
export function rowsOf(images: number, { index, count }: Replica): { from: number; to: number } {
  return { from: Math.floor((images * index) / count), to: Math.floor((images * (index + 1)) / count) };
}

/** How many of a batch's images a replica has: see {@link rowsOf}. */
export function imagesOf({ replica }: { replica: Replica }, { count }: { count: number }): number {
  const { from, to } = rowsOf(count, replica);
  return to - from;
}

/** The number of a tower among those of all replicas: pair by pair. */
export function towerNumber({ part, replica }: { part: Part; replica: Replica }): number {
  return part === 'whole' ? replica.index : 2 * replica.index + part;
}

/** `tower 1`; `tower 1 of pair 2` among several pairs. */
export function towerName({ part, replica: { index, count } }: { part: Part; replica: Replica }): string {
  if (count === 1) return `tower ${part === 'whole' ? 0 : part}`;
  return part === 'whole' ? `net ${index}` : `tower ${part} of pair ${index}`;
}
