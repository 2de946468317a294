/** Errors of the file system in the pattern of the other messages. */
import { SplitError } from '../errors.js';

/**
 * Runs `action`, and explains its error.
 * @throws SplitError "Cannot <what>: <the system's message>; <advice>".
 */
export function explained<T>(what: string, advice: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof SplitError) throw error;
    throw new SplitError(`Cannot ${what}: ${(error as Error).message}; ${advice}`, { cause: error });
  }
}

/** The same for an action that takes time. */
export async function explainedLater<T>(what: string, advice: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    return explained(what, advice, () => {
      throw error;
    });
  }
}
