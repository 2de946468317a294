/** An end that waits for nothing. */
import { loadKoffi } from '../install/koffi.js';

/**
 * Ends the process now. `process.exit` would first wait for threads, and one that computes in C hears of nothing until it
 * is done. What was not yet written is lost.
 */
export function exitAtOnce(exitCode: number): never {
  let exit: (status: number) => never = process.exit; // without koffi no thread is in C
  try {
    exit = loadKoffi().load(null).func('void _exit(int status)') as unknown as typeof exit;
  } catch {}
  return exit(exitCode);
}
