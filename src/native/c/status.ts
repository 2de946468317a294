import { NativeError } from '../../errors.js';
import type { Pointer, TensorFlowC } from './signatures.js';

/** Names of `TF_Code` (`tensorflow/c/tf_status.h`), by number. */
const CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** `TF_Code` of an allocation that was refused. */
export const RESOURCE_EXHAUSTED = 8;
/** `TF_Code` of an op that came to a queue's end. */
export const OUT_OF_RANGE = 11;

/** What only the end of another error brought about. */
const ECHOES = ['CANCELLED', 'ABORTED'];

/** Whether an error says only that TensorFlow was told to end: another one came first. */
export function isCancelled(error: unknown): error is NativeError {
  return error instanceof NativeError && ECHOES.includes(CODES[error.code] ?? '');
}

/**
 * Throws a {@link NativeError} when the last call that was given `status` failed.
 * @param doing what was tried, for the message ("run the op MatMul").
 * @param op the op's name, when there is one.
 */
export function check(c: TensorFlowC, status: Pointer, doing: string, op?: string): void {
  const code = c.TF_GetCode(status);
  if (code === 0) return;
  const text = reasonIn(c.TF_Message(status));
  throw new NativeError(`Cannot ${doing}: TensorFlow says ${CODES[code] ?? `code ${code}`}: ${text}`, code, op);
}

/** How a message begins when parts of a function on several devices failed; the errors follow, numbered. */
const SEVERAL = /^\d+ root error\(s\) found\.\n/;
const ROOT = /^ {2}\(\d+\) ([A-Z_]+): /m;
/**
 * What a message of TensorFlow's says, in one line: of a function over several devices its first error that is no echo of
 * another's end, and of any function the op in it that failed. Names of functions are left out, for they are made up here
 * (`{{function_node alexnet_split_1_0}}`), and of the names of ops and devices what they have in common.
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

/** @param message of several errors. @returns the text of one, with what belongs to it. */
function firstRoot(message: string): string {
  const [, ...parts] = message.split(ROOT); // what is before; then a code and a text in turn
  const roots = parts.flatMap((code, i) => (i % 2 === 0 ? [{ code, text: parts[i + 1]! }] : []));
  return (roots.find(({ code }) => !ECHOES.includes(code)) ?? roots[0])?.text ?? message;
}

/** `MatMul` of `inner/MatMul_1099511627803`: names are paths, numbered from 2^40 where they were recorded here. */
function opOf(node: string): string {
  return node.slice(node.lastIndexOf('/') + 1).replace(/_\d+$/, '');
}
