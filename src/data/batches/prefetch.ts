/**
 * Fills batch slots ahead of use, in the order of the batches' numbers. A slot is free, being filled (or filled ahead), or
 * lent; only a free slot is filled.
 */
import assert from 'node:assert/strict';

export interface PrefetchOptions {
  slots: readonly number[];
  /** Number of the last batch. */
  last: number;
  /** Whether to fill the next batches while one is in use. */
  ahead: boolean;
  /** Fills a slot. Once its promise is settled, nothing writes to the slot. */
  fill(number: number, slot: number): Promise<void>;
}

export function createPrefetcher({ slots, last, ahead, fill }: PrefetchOptions) {
  const free = [...slots];
  const filling = new Map<number, ReturnType<typeof startFilling>>();
  const lent = new Map<number, number>();
  const waiting: { number: number; resolve(slot: number): void; reject(error: Error): void }[] = [];
  let current = Number.NEGATIVE_INFINITY;
  let closed: ((number: number) => Error) | undefined;

  return {
    /**
     * Lends the slot with the batch, filled ahead or now. Waits while all slots are lent.
     * @throws what filling throws; then the slot is free again.
     */
    async take(number: number): Promise<number> {
      refuseClosed(number);
      current = number;
      dropOutdated();
      const filledAhead = filling.get(number);
      filling.delete(number);
      const { slot, done } = filledAhead ?? startFilling(number, await freeSlot(number));
      fillAhead();
      try {
        await done;
      } catch (error) {
        putBack(slot);
        throw error;
      }
      refuseClosed(number);
      lent.set(slot, number);
      return slot;
    },
    /** The slots whose batches are filled, and not taken yet. */
    ready: () => [...filling.values()].flatMap(({ slot, isFilled }) => (isFilled ? [slot] : [])),
    /** Fills batches ahead from `number` on, which is asked for next. */
    prepare(number: number): void {
      if (filling.has(number)) return;
      current = number - 1;
      dropOutdated();
      fillAhead();
    },
    /** Returns a lent slot. */
    release(slot: number, number: number): void {
      assert.equal(lent.get(slot), number, `slot ${slot} is not lent for batch ${number}`);
      lent.delete(slot);
      putBack(slot);
    },
    /** Rejects pending and later calls of `take`. */
    close(error: (number: number) => Error): void {
      closed = error;
      for (const { number, reject } of waiting.splice(0)) reject(error(number));
    },
  };

  function refuseClosed(number: number): void {
    if (closed) throw closed(number);
  }

  function startFilling(number: number, slot: number) {
    const done = fill(number, slot);
    const started = { slot, done, isFilled: false };
    done.then(
      () => {
        started.isFilled = true;
      },
      () => {}, // `take` reports it
    );
    return started;
  }

  function freeSlot(number: number): Promise<number> | number {
    const slot = free.shift();
    if (slot !== undefined) return slot;
    return new Promise((resolve, reject) => {
      waiting.push({ number, resolve, reject });
    });
  }

  function putBack(slot: number): void {
    const next = waiting.shift();
    if (next) {
      next.resolve(slot);
      return;
    }
    free.push(slot);
    fillAhead();
  }

  /** Drops batches before the current one, and all of them after a jump, so that the current batch finds a slot. */
  function dropOutdated(): void {
    const isJump = !filling.has(current);
    for (const [number, { slot, done }] of filling) {
      if (!isJump && number >= current) continue;
      filling.delete(number);
      done.catch(() => {}).then(() => putBack(slot));
    }
  }

  function fillAhead(): void {
    if (!ahead || closed) return;
    for (let number = current + 1; number <= Math.min(last, current + slots.length); number++) {
      if (free.length === 0) return;
      if (!filling.has(number)) filling.set(number, startFilling(number, free.shift()!));
    }
  }
}
