/**
 * A lane: some slots, and the batches that go through them in the order of their numbers. A slot is free, being filled
 * ahead, or lent; only a free one is filled.
 */
import assert from 'node:assert/strict';

export interface Lane {
  /**
   * Lends the slot that holds the batch: filled ahead, or now. Waits while every slot is lent.
   * @throws what filling throws; the slot is free again then.
   */
  take(number: number): Promise<number>;
  /** Gives a lent slot back. */
  release(slot: number, number: number): void;
  /** Makes those who wait for a slot fail with `error`, and whoever comes. */
  close(error: (number: number) => Error): void;
}

export interface LaneOptions {
  slots: readonly number[];
  /** The last batch's number. */
  last: number;
  /** Whether batches after the one taken are filled while it is in use. */
  ahead: boolean;
  /** Fills a slot; nothing writes to it once the promise is settled. */
  fill(number: number, slot: number): Promise<void>;
}

interface Filling {
  slot: number;
  done: Promise<void>;
}

interface Waiting {
  number: number;
  resolve(slot: number): void;
  reject(error: Error): void;
}

export function openLane({ slots, last, ahead, fill }: LaneOptions): Lane {
  const free = [...slots];
  const filling = new Map<number, Filling>();
  const lent = new Map<number, number>();
  const waiting: Waiting[] = [];
  let current = Number.NEGATIVE_INFINITY;
  let closed: ((number: number) => Error) | undefined;

  return {
    async take(number) {
      refuseClosed(number);
      current = number;
      dropUnwanted();
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
    release(slot, number) {
      assert.equal(lent.get(slot), number, `slot ${slot} is not lent for batch ${number}`);
      lent.delete(slot);
      putBack(slot);
    },
    close(error) {
      closed = error;
      for (const { number, reject } of waiting.splice(0)) reject(error(number));
    },
  };

  function refuseClosed(number: number): void {
    if (closed) throw closed(number);
  }

  function startFilling(number: number, slot: number): Filling {
    const done = fill(number, slot);
    done.catch(() => {}); // whoever takes the batch hears of it
    return { slot, done };
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

  /** After a jump nothing that was filled ahead is kept, so that what is asked for now finds a slot. */
  function dropUnwanted(): void {
    const jump = !filling.has(current);
    for (const [number, { slot, done }] of filling) {
      if (!jump && number >= current) continue;
      filling.delete(number);
      const settled = () => putBack(slot);
      done.then(settled, settled);
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
