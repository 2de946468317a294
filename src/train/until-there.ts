/** Waits until the servers of a run are there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { durationMs } from '../config/servers.js';
import { ServerError } from '../errors.js';
import { runningTimeMs } from '../running-time.js';
import { stoppable } from './waiting.js';

const AGAIN_MS = 1_000;

export interface Waiting {
  /** As `10m`; null: not at all. */
  waitForServers: string | null;
  signal?: AbortSignal | undefined;
  /** Receives a sentence once, if it waits. */
  note?: ((text: string) => void) | undefined;
}

/**
 * Tries `action` again until it throws no ServerError.
 * @returns what `action` returns.
 * @throws its other errors; the last ServerError when the time is over, or the signal given; Stopped if the signal comes while
 * `action` waits.
 */
export async function untilThere<T>(action: () => Promise<T>, { waitForServers, signal, note }: Waiting): Promise<T> {
  const until = waitForServers === null ? 0 : runningTimeMs() + durationMs(waitForServers);
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await (signal ? stoppable(action(), signal) : action());
    } catch (error) {
      const isOver = waitForServers === null || signal?.aborted || runningTimeMs() >= until;
      if (!(error instanceof ServerError) || isOver) throw error;
      if (isFirst) note?.(`waiting for the servers, up to ${waitForServers}: ${error.message}`);
    }
    await sleep(AGAIN_MS, undefined, signal ? { signal } : {}).catch(() => {}); // the signal ends it
  }
}
