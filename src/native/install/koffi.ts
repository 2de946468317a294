/** koffi, which calls C, loaded by the first who needs it: most commands do without. */
import { createRequire } from 'node:module';
import { explainLoadFailure } from '../../addon.js';
import { SetupError } from '../../errors.js';

export type Koffi = typeof import('koffi').default;

let loaded: Koffi | undefined;

/** @throws SetupError that says what to do, where its binary is not installed or the system does not run it. */
export function loadKoffi(): Koffi {
  try {
    loaded ??= createRequire(import.meta.url)('koffi') as Koffi;
    return loaded;
  } catch (error) {
    throw new SetupError(`Cannot call the system or TensorFlow: ${explainLoadFailure('koffi', error)}`, {
      cause: error,
    });
  }
}
