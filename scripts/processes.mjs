/** Programs that the set-up and the tests start, with the signals that are theirs too. */
import { spawn } from 'node:child_process';

/** In which a signal again is the same one. */
const SAME_SIGNAL_MS = 500;

/** What ends this program with one line and exit code 1. */
export class SetupFailure extends Error {}

/**
 * Starts a program with a session of its own, so that what it has started ends with it: signals go to its whole group. It
 * can write to the terminal, and reads nothing. A signal that ends this process goes to the group at once, and ends this
 * process when the program has ended. npm passes a terminal's Ctrl-C on once more: again in a short time is the same one.
 * @returns its exit code.
 */
export function start([file, ...args], options, onOutput) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...options, detached: true });
    let heard;
    let last = 0;
    const kill = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // All of them have ended.
      }
    };
    const pass = (signal) => {
      if (Date.now() - last < SAME_SIGNAL_MS) return;
      last = Date.now();
      heard ??= signal;
      kill(signal);
    };
    const pause = () => {
      kill('SIGSTOP');
      process.kill(process.pid, 'SIGSTOP');
    };
    const goOn = () => kill('SIGCONT');
    // A SIGHUP that is to be ignored has a listener by now.
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'].filter((each) => process.listenerCount(each) === 0);
    for (const signal of signals) process.on(signal, pass);
    process.on('SIGTSTP', pause).on('SIGCONT', goOn);
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', onOutput);
    child.once('error', (error) =>
      reject(new SetupFailure(`Cannot run ${file}: ${error.message}; put it on the PATH`)),
    );
    child.once('close', (code, signal) => {
      for (const each of signals) process.off(each, pass);
      process.off('SIGTSTP', pause).off('SIGCONT', goOn);
      const by = heard ?? signal;
      if (by && process.listenerCount(by) === 0) process.kill(process.pid, by);
      else resolve(code ?? 1);
    });
  });
}
