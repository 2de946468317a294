/** How data are refused. */
import assert from 'node:assert/strict';
import { DataError } from '../../src/errors.js';
import { isSentence } from '../fuzz.js';

/** The message with which a data set is refused. The folder is replaced by `SET`. */
export function refusal(open: () => unknown, folder: string): string {
  try {
    open();
  } catch (error) {
    assert.ok(error instanceof DataError && isSentence(error.message), `${error}`);
    return error.message.replaceAll(folder, 'SET');
  }
  return assert.fail('it is not refused');
}
