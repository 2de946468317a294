import { bind } from '../install/koffi.js';

/**
 * Ends the process at once. `process.exit` would first wait for the threads, and a thread that computes in C ends only when
 * it is done. Output that was not yet written is lost.
 */
export function exitAtOnce(exitCode: number): never {
  try {
    bind(['void _exit(int status)'])._exit(exitCode);
  } catch {
    // Without koffi no thread is in C.
  }
  process.exit(exitCode);
}
