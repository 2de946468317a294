/** The thread of one tower: carries out commands. Started by `client.ts`. */
import './core-only.js';
import { workerData } from 'node:worker_threads';
import { NativeError, SplitError } from '../errors.js';
import { currentBinding } from '../native/binding/backend.js';
import { Code } from '../native/c/status.js';
import { abortTowers } from './abort.js';
import { type Command, type Envelope, mailboxesOf, placeOf, type Task, type TowerSetup } from './protocol.js';
import { towerName } from './replica.js';
import { Tower } from './tower.js';

const setup = workerData as TowerSetup;
let tower: Tower | undefined;

/** Carries out a command. An error also ends what the other tower waits for. */
export default function task({ command, memory }: Task): Envelope {
  try {
    return { ok: true, reply: command.kind === 'close' ? close() : carryOut(command, memory) };
  } catch (error) {
    const mailboxes = mailboxesOf(setup);
    if (mailboxes) abortTowers(mailboxes);
    return enveloped(withPlace(error, command));
  }
}

function carryOut(command: Command, memory: SharedArrayBuffer | undefined): unknown {
  tower ??= new Tower(setup);
  const method = tower[command.kind] as (command: Command, memory?: SharedArrayBuffer) => unknown;
  return method.call(tower, command, memory) ?? null;
}

/** Frees everything on the device, also what an error left, such as the tensors that an interrupted tape had saved. */
function close(): null {
  if (!tower) return null;
  try {
    tower.close();
  } finally {
    currentBinding().deleteAllTensors();
  }
  return null;
}

/** Adds tower and step to an unexpected error; expected errors of a step name them already. */
function withPlace(error: unknown, command: Command): unknown {
  const name = towerName(setup);
  if (error instanceof NativeError && error.code === Code.RESOURCE_EXHAUSTED) {
    const found = /OOM .*/.exec(error.message)?.[0] ?? error.message;
    error.message = `Cannot continue: ${name} on ${setup.device} ran out of memory in ${placeOf(command)} (${found}), expected memory for its part of the net and of the batch; free some memory and continue from the last checkpoint with --resume, or start a new run with a smaller --batch-size or --width`;
    return error;
  }
  if (!(error instanceof Error) || (error instanceof SplitError && !(error instanceof NativeError))) return error;
  if (!['step', 'evaluate', 'measure', 'snapshot'].includes(command.kind)) return error;
  error.message = `Cannot continue: ${name} on ${setup.device} failed in ${placeOf(command)} (${error.message}); continue from the last checkpoint with --resume`;
  return error;
}

/** Packs an error: structured clone would lose its class, which the client restores by its name. */
function enveloped(error: unknown): Envelope {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const fields = error instanceof SplitError ? { ...error, cause: undefined } : {};
  return { ok: false, error: { name, message, ...(stack === undefined ? {} : { stack }), fields } };
}
