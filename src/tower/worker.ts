/** The thread of one tower: takes commands, gives replies. Started by `client.ts`. */
import { workerData } from 'node:worker_threads';
import { NativeError, SplitError } from '../errors.js';
import { currentBinding } from '../native/binding/backend.js';
import { RESOURCE_EXHAUSTED } from '../native/c/status.js';
import { abortTowers } from './abort.js';
import { placeOf } from './place.js';
import type { Command, Envelope, Task, TowerSetup } from './protocol.js';
import { Tower } from './tower.js';

const setup = workerData as TowerSetup;
let tower: Tower | undefined;

/** Carries out a command. An error ends the other tower's waiting too. */
export default function task({ command, memory }: Task): Envelope {
  try {
    return { ok: true, reply: obey(command, memory) ?? null };
  } catch (error) {
    if (setup.peer) abortTowers(setup.peer.mailboxes);
    return enveloped(located(error, command));
  }
}

function obey(command: Command, memory: SharedArrayBuffer | undefined): unknown {
  if (command.kind === 'close') return close();
  tower ??= new Tower(setup);
  switch (command.kind) {
    case 'open':
      return tower.open();
    case 'selfTest':
      return tower.selfTest();
    case 'step':
      return tower.step(command);
    case 'evaluate':
      return tower.evaluate(command, memory && new Float32Array(memory));
    case 'measure':
      return tower.measure(command);
    case 'list':
      return tower.list();
    case 'fetch':
      return tower.fetch(command.what, command.name, new Uint8Array(memory!));
    case 'put':
      return tower.put(command.name, new Float32Array(memory!));
    case 'save':
      return tower.save(command.file, command.step);
    case 'load':
      return tower.load(command.files);
    case 'snapshot':
      return tower.snapshot(new Uint8Array(memory!));
    case 'restore':
      return tower.restore(command.files);
  }
}

/** The last command: what an error left on the device goes too, such as what a tape that was broken off had saved. */
function close(): void {
  if (!tower) return;
  try {
    tower.dispose();
  } finally {
    currentBinding().deleteAllTensors();
  }
}

/** What nobody foresaw, with where it came about; other errors of a step say that themselves. */
function located(error: unknown, command: Command): unknown {
  const index = setup.part === 'whole' ? 0 : setup.part;
  if (error instanceof NativeError && error.code === RESOURCE_EXHAUSTED) {
    const found = /OOM .*/.exec(error.message)?.[0] ?? error.message;
    error.message = `Cannot go on: tower ${index} on ${setup.device} ran out of memory in ${placeOf(command)} (${found}), expected room for its part of the net and of the batch; make room and go on from the last checkpoint with --resume, or start a new run with a smaller --batch-size or --width`;
    return error;
  }
  if (!(error instanceof Error) || (error instanceof SplitError && !(error instanceof NativeError))) return error;
  if (!['step', 'evaluate', 'measure', 'snapshot'].includes(command.kind)) return error;
  error.message = `Cannot go on: tower ${index} on ${setup.device} failed in ${placeOf(command)} (${error.message}); go on from the last checkpoint with --resume`;
  return error;
}

/** An error's name, message and fields: its class is found again on the other side. */
function enveloped(error: unknown): Envelope {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  const fields = error instanceof SplitError ? { ...error, cause: undefined } : {};
  return { ok: false, error: { name, message, ...(stack === undefined ? {} : { stack }), fields } };
}
