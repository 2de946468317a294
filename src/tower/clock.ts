/** The clock that the threads of a traced step have in common. */

/** Milliseconds of a clock that all threads of the process have in common. */
export function clockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const OFFSET_SAMPLES = 5;

/**
 * What to add to another clock's milliseconds for {@link clockMs}. Of several comparisons the one counts that was made in
 * the shortest time, because a thread can lose its core between two looks at a clock.
 */
export function clockOffset(other: () => number): number {
  let [offset, shortest] = [0, Number.POSITIVE_INFINITY];
  for (let i = 0; i < OFFSET_SAMPLES; i++) {
    const before = clockMs();
    const there = other();
    const after = clockMs();
    if (after - before < shortest) [offset, shortest] = [(before + after) / 2 - there, after - before];
  }
  return offset;
}
