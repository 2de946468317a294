/** An end that waits for nothing. */
import koffi from 'koffi';

/**
 * Ends the process now. `process.exit` would first wait for threads, and one that computes in C hears of nothing until it
 * is done. What was not yet written is lost.
 */
export function exitAtOnce(exitCode: number): never {
  const exit = koffi.load(null).func('void _exit(int status)') as unknown as (status: number) => never;
  return exit(exitCode);
}
