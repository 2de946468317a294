/** Trying whether TensorFlow does something. */
import { NativeError } from '../../errors.js';
import type { Context } from './context.js';

/**
 * Runs `action` with its ops done one after another in this thread, also where the thread's ops are for another one: there
 * an error would come late, and stay for all that follows.
 * @returns whether TensorFlow refused nothing. @throws what is no NativeError.
 */
export function succeeds({ library: { c }, address }: Context, action: () => void): boolean {
  const before = c.TFE_ContextGetExecutorForThread(address);
  const own = c.TFE_NewExecutor(false, false, 0);
  c.TFE_ContextSetExecutorForThread(address, own);
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return false;
  } finally {
    c.TFE_ContextSetExecutorForThread(address, before);
    c.TFE_DeleteExecutor(before); // the handle that was made to ask for it
    c.TFE_DeleteExecutor(own);
  }
}
