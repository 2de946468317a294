/** The coordinator's side of a tower: a pool of exactly one thread. */
import { Piscina } from 'piscina';
import * as errors from '../errors.js';
import { runningSleep } from '../running-time.js';
import { abortTowers, reapTower } from './abort.js';
import { placeOf } from './place.js';
import type { Command, Envelope, Replies, Task, TowerSetup } from './protocol.js';

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

/**
 * Starts a tower's thread; it makes its part of the net with the first command.
 * @param workerFile what the thread runs, for tests.
 */
export function startTower(setup: TowerSetup, workerFile = new URL('./worker.js', import.meta.url).href): TowerClient {
  const index = setup.part === 'whole' ? 0 : setup.part;
  let closing: Promise<void> | undefined;
  let asked = 0;
  let gone: errors.TowerError | undefined;
  const pool = new Piscina({
    filename: workerFile,
    workerData: setup,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    // Otherwise an idle thread blocks, and hears nothing.
    atomics: 'disabled',
  });

  const run = (command: Command, memory?: SharedArrayBuffer) =>
    pool.run({ command, memory } satisfies Task) as Promise<Envelope>;

  function leave(cause: unknown, where = ''): errors.TowerError {
    const more = isOutOfHeap(cause)
      ? ', and with more memory for JavaScript, such as NODE_OPTIONS=--max-old-space-size=8192'
      : '';
    gone ??= new errors.TowerError(
      `Cannot go on: the thread of tower ${index} on ${setup.device} ended (${messageOf(cause)})${where}, and its weights with it; start the run again, with --resume where it has a checkpoint${more}`,
      index,
      cause,
    );
    if (setup.peer && setup.part !== 'whole') {
      abortTowers(setup.peer.mailboxes);
      reapTower(setup.peer.mailboxes, setup.part);
    }
    return gone;
  }

  // A thread that ends at a command is heard of by the command; these are for one that ends in between.
  pool.on('workerDestroy', () => {
    if (!closing && asked === 0) leave('between two commands');
  });
  pool.on('error', (error) => {
    gone = undefined; // says more than that the thread is gone
    leave(error);
  });

  return {
    setup,
    async ask(command, memory) {
      if (closing) throw new errors.TowerError(`Cannot ask tower ${index} for ${command.kind}: it was closed`, index);
      // piscina would run it in a new thread, which has none of the weights.
      if (gone) throw gone;
      let envelope: Envelope;
      asked++;
      try {
        envelope = await run(command, memory);
      } catch (error) {
        throw closing ? error : leave(error, ` in ${placeOf(command)}`);
      } finally {
        asked--;
      }
      if (!envelope.ok) throw revived(envelope.error);
      return envelope.reply as never;
    },
    async close() {
      if (setup.peer) abortTowers(setup.peer.mailboxes);
      closing ??= end();
      await closing;
    },
  };

  /** Lets the tower free what it has on its device, and ends its thread: in the middle of a step, when that takes long. */
  async function end(): Promise<void> {
    let isFreed = false;
    if (!gone) {
      const freed = run({ kind: 'close' }).then(
        () => {
          isFreed = true;
        },
        () => {},
      );
      await Promise.race([freed, runningSleep(FREE_MS)]);
    }
    // TensorFlow goes on where the thread has ended, or does not hear, and reads what lies there.
    if (!isFreed) leftToTensorFlow.push(setup.slots, setup.peer?.mailboxes);
    // A thread that computes in C does not hear that it is to end, and is left behind.
    await Promise.race([pool.destroy(), runningSleep(DESTROY_MS)]);
  }
}

/** Memory that a tower left without a word: it stays as long as the process, for TensorFlow may yet read it. */
const leftToTensorFlow: unknown[] = [];

/** How long a tower may take to hear that it is to end. */
const FREE_MS = 3_000;

/** How long its thread may take to end. */
const DESTROY_MS = 2_000;

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

function isOutOfHeap(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
