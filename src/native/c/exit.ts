import { bind } from '../install/koffi.js';

/**
 * Ends the process now. `process.exit` would first wait for threads, and one that computes in C hears of nothing until it
 * is done. What was not yet written is lost.
 */
export function exitAtOnce(exitCode: number): never {
  try {
    bind(['void _exit(int status)'])._exit(exitCode);
  } catch {
    // Without koffi no thread is in C.
  }
  process.exit(exitCode);
}
