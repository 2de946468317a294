/** The coordinator's side of a tower: a pool of exactly one thread. */
import { Piscina } from 'piscina';
import * as errors from '../errors.js';
import { runningSleep } from '../running-time.js';
import { abortTowers } from './abort.js';
import {
  type Command,
  type Envelope,
  indexOf,
  mailboxesOf,
  placeOf,
  type Replies,
  type Task,
  type TowerSetup,
} from './protocol.js';
import { towerName, towerNumber } from './replica.js';
import { threadFile } from './thread-file.js';

export interface TowerClient {
  readonly setup: TowerSetup;
  /**
   * Has the tower carry out a command.
   * @param memory goes with the command, shared.
   * @throws the tower's error; TowerError if its thread ended.
   */
  ask<Kind extends Command['kind']>(
    command: Extract<Command, { kind: Kind }>,
    memory?: SharedArrayBuffer,
  ): Promise<Replies[Kind]>;
  /** Ends the thread, even during a command. */
  close(): Promise<void>;
}

/**
 * Starts a tower's thread. The tower makes its part of the net at the first command.
 * @param workerFile the thread's module, for tests.
 */
export function startTower(setup: TowerSetup, workerFile = threadFile()): TowerClient {
  const [index, name, mailboxes] = [towerNumber(setup), towerName(setup), mailboxesOf(setup)];
  let closing: Promise<void> | undefined;
  let asked = 0;
  let gone: errors.TowerError | undefined;
  const pool = new Piscina<Task, Envelope>({
    filename: workerFile,
    workerData: setup,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled', // otherwise an idle thread blocks, and receives no messages
  });

  /** The thread ended: ends what the peer waits for. */
  function leave(cause: unknown, where = ''): errors.TowerError {
    const [message, code] = cause instanceof Error ? [cause.message, 'code' in cause && cause.code] : [String(cause)];
    const more =
      code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? ', and with more memory for JavaScript, such as NODE_OPTIONS=--max-old-space-size=8192'
        : '';
    gone ??= new errors.TowerError(
      `Cannot continue: the thread of ${name} on ${setup.device} ended (${message})${where}, and its weights are lost; start the run again, with --resume where it has a checkpoint${more}`,
      index,
      cause,
    );
    if (mailboxes) abortTowers(mailboxes, indexOf(setup.part));
    return gone;
  }

  // If the thread ends during a command, the command rejects; these events are for the time between commands.
  pool.on('workerDestroy', () => {
    if (!closing && asked === 0) leave('between two commands');
  });
  pool.on('error', (error) => {
    gone = undefined; // this error says more
    leave(error);
  });

  /** Lets the tower free what it has on its device, and ends its thread: during a command if that takes long. */
  async function end(): Promise<void> {
    const free = () => pool.run({ command: { kind: 'close' } }).catch(() => undefined);
    const reply = gone ? undefined : await Promise.race([free(), runningSleep(FREE_MS)]);
    if (!reply) leftToTensorFlow.push(setup.slots, mailboxes);
    // A thread that computes in C cannot be ended, and is left behind.
    await Promise.race([pool.destroy(), runningSleep(DESTROY_MS)]);
  }

  return {
    setup,
    async ask(command, memory) {
      if (closing) throw new errors.TowerError(`Cannot ask ${name} for ${command.kind}: it was closed`, index);
      if (gone) throw gone; // Piscina would start a new thread, which has none of the weights
      let envelope: Envelope;
      asked++;
      try {
        envelope = await pool.run({ command, memory });
      } catch (error) {
        throw closing ? error : leave(error, ` in ${placeOf(command)}`);
      } finally {
        asked--;
      }
      if (!envelope.ok) throw revived(envelope.error);
      return envelope.reply as never;
    },
    async close() {
      if (mailboxes) abortTowers(mailboxes);
      closing ??= end();
      await closing;
    },
  };
}

/** Memory of towers that did not confirm their end. It is never freed, because TensorFlow may still read it. */
const leftToTensorFlow: unknown[] = [];

const FREE_MS = 3_000;
const DESTROY_MS = 2_000;

/** Makes an error of the class that the tower threw. */
function revived({ name, message, stack, fields }: Extract<Envelope, { ok: false }>['error']): Error {
  const known = (errors as unknown as Record<string, { prototype: object }>)[name];
  const error = new Error(message);
  if (known) Object.setPrototypeOf(error, known.prototype);
  Object.assign(error, fields, { name }); // what the constructor would set
  if (stack !== undefined) error.stack = stack;
  return error;
}
