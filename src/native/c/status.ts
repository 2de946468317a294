import { NativeError } from '../../errors.js';
import type { Pointer, TensorFlowC } from './signatures.js';

/** TensorFlow's functions, and the TF_Status that they write into; for one thread. */
export interface Calls {
  c: TensorFlowC;
  status: Pointer;
  /** The addresses of the servers by their tasks, for messages. */
  servers?: readonly string[] | undefined;
}

/** Names of `TF_Code` (`tensorflow/c/tf_status.h`), by number. */
const NAMES = [
  ...(['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'] as const),
  ...(['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE'] as const),
  ...(['UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'] as const),
];

/** `TF_Code`, the codes of a {@link NativeError}. */
export const Code = Object.fromEntries(NAMES.map((name, i) => [name, i])) as Record<(typeof NAMES)[number], number>;

/** The codes of errors that are only the consequence of another error. */
const ECHOES = ['CANCELLED', 'ABORTED'];

/** Whether an error says only that TensorFlow was cancelled, because of another error or a signal. */
export function isCancelled(error: unknown): error is NativeError {
  return error instanceof NativeError && ECHOES.includes(NAMES[error.code] ?? '');
}

/** Throws a {@link NativeError} if the last call failed. @param doing what was tried, such as "run the op MatMul". */
export function check({ c, status, servers }: Calls, doing: string, op?: string): void {
  const code = c.TF_GetCode(status);
  if (code === 0) return;
  const text = `${doing}: TensorFlow says ${NAMES[code] ?? `code ${code}`}: ${reasonIn(c.TF_Message(status))}`;
  throw new NativeError(`Cannot ${withAddresses(text, servers)}`, code, op);
}

/** Names servers and their devices by addresses: `10.0.0.2:2222/GPU:0` for `/job:server/replica:0/task:0/device:GPU:0`. */
export function withAddresses(text: string, servers: readonly string[] = []): string {
  const name = (found: string, task: string, slash = '') => {
    const server = servers[Number(task)];
    return server === undefined ? found : server + (slash && '/');
  };
  return text.replace(/\/job:server\/replica:0\/task:(\d+)(\/(?:device:)?(?=[A-Z]))?/g, name);
}

/** How a message begins when a function failed on several devices; the errors follow, numbered. */
const SEVERAL = /^\d+ root error\(s\) found\.\n/;
const ROOT = /^ {2}\(\d+\) ([A-Z_]+): /m;

/**
 * The reason in a TensorFlow message, in one line. For a function on several devices this is the first error that is not
 * the consequence of another one; for any function it names the op that failed. Names of functions are left out, because
 * they are made up here (`{{function_node alexnet_split_1_0}}`), and the parts that all names of devices have.
 */
export function reasonIn(message: string): string {
  const error = SEVERAL.test(message) ? firstRoot(message) : message;
  const [first = ''] = error.split('\n').filter((line) => line.trim() !== '');
  const text = first
    .replace(/\s*\[\[[^[\],]*\]\]|\s*\[Op:[^\]]*\]|; NodeDef: \{\{node [^}]*\}\}/g, '')
    .replace(/\{\{function_node [^}]*\}\}\s*/g, '')
    .replace(/\{\{node ([^}]*)\}\}/g, (_, node: string) => opOf(node))
    .replace(/Op<name=(\w+);.*>(?=$|\.)/, '$1')
    .replace(/\/job:localhost\/replica:0\/task:0\/device:/g, '')
    .replace(/\b([A-Za-z]\w*)_\d{13,}\b/g, '$1')
    .trim();
  const failed = /\[\[\{\{node ([^}]*)\}\}\]\]/.exec(error)?.[1];
  return failed === undefined ? text : `${text} (in ${opOf(failed)})`;
}

/** The error that came first. */
function firstRoot(message: string): string {
  const [, ...parts] = message.split(ROOT); // codes and texts alternate after the first part
  const roots = parts.flatMap((code, i) => (i % 2 === 0 ? [{ code, text: parts[i + 1]! }] : []));
  return (roots.find(({ code }) => !ECHOES.includes(code)) ?? roots[0])?.text ?? message;
}

/** `MatMul` for `inner/MatMul_1099511627803`: names are paths, and those recorded here have a number from 2^40 on. */
function opOf(node: string): string {
  return node.slice(node.lastIndexOf('/') + 1).replace(/_\d+$/, '');
}
