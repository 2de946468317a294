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

/**
 * Throws a {@link NativeError} when the last call that was given `status` failed.
 * @param doing what was tried, for the message ("run the op MatMul").
 * @param op the op's name, when there is one.
 */
export function check(c: TensorFlowC, status: Pointer, doing: string, op?: string): void {
  const code = c.TF_GetCode(status);
  if (code === 0) return;
  const text = c.TF_Message(status).split('\n')[0];
  throw new NativeError(`Cannot ${doing}: TensorFlow says ${CODES[code] ?? `code ${code}`}: ${text}`, code, op);
}
