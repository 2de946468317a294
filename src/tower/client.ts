/** The coordinator's side of a tower: a pool of exactly one thread. */
import { Piscina } from 'piscina';
import * as errors from '../errors.js';
import { abortLink, packControl, unpackControl } from '../exchange/index.js';
import type { Command, Envelope, Replies, TowerSetup } from './protocol.js';

export interface TowerClient {
  readonly setup: TowerSetup;
  /**
   * Has the tower do something.
   * @param memory goes with the command as it is, shared.
   * @throws the error that the tower threw; TowerError when its thread ended.
   */
  ask<Kind extends Command['kind']>(
    command: Extract<Command, { kind: Kind }>,
    memory?: SharedArrayBuffer,
  ): Promise<Replies[Kind]>;
  /** Ends the thread, in the middle of what it does. */
  close(): Promise<void>;
}

/** Starts a tower's thread; it makes its part of the net with the first command. */
export function startTower(setup: TowerSetup): TowerClient {
  let closing = false;
  let gone: errors.TowerError | undefined;
  const pool = new Piscina({
    filename: new URL('./worker.js', import.meta.url).href,
    workerData: setup,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    // Otherwise an idle thread blocks, and hears nothing.
    atomics: 'disabled',
  });

  function leave(cause: unknown): errors.TowerError {
    const index = setup.part === 'whole' ? 0 : setup.part;
    gone ??= new errors.TowerError(
      `Cannot go on: the thread of tower ${index} on ${setup.device} ended (${messageOf(cause)}), and its weights with it; start the run again`,
      index,
      cause,
    );
    if (setup.link) abortLink(setup.link);
    return gone;
  }

  return {
    setup,
    async ask(command, memory) {
      // piscina would run it in a new thread, which has none of the weights.
      if (gone) throw gone;
      let bytes: Uint8Array;
      try {
        bytes = await pool.run({ command: packControl(command), memory });
      } catch (error) {
        throw closing ? error : leave(error);
      }
      const envelope = unpackControl<Envelope>(bytes);
      if (!envelope.ok) throw revived(envelope.error);
      return envelope.reply as never;
    },
    async close() {
      closing = true;
      if (setup.link) abortLink(setup.link);
      await pool.destroy();
    },
  };
}

/** An error of the class that the tower threw. */
function revived({ name, message, stack, fields }: Extract<Envelope, { ok: false }>['error']): Error {
  const known = (errors as unknown as Record<string, { prototype: object }>)[name];
  const error = new Error(message);
  if (known) Object.setPrototypeOf(error, known.prototype);
  // What the class's constructor would set.
  Object.assign(error, fields, { name });
  if (stack !== undefined) error.stack = stack;
  return error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
