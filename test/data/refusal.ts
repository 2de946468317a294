/** How data are refused. */
import assert from 'node:assert/strict';
import { DataError } from '../../src/errors.js';
import { isSentence } from '../fuzz.js';

/** The message of what is refused by a sentence of the data's, in which the folder is `SET`. */
export function refusal(open: () => unknown, folder: string): string {
  try {
    open();
  } catch (error) {
    assert.ok(error instanceof DataError && isSentence(error.message), `${error}`);
    return error.message.replaceAll(folder, 'SET');
  }
  return assert.fail('it is not refused');
}
