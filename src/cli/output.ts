/** What the commands print, and what happens if nobody can read it. */
import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { printable } from '../printable.js';
import { oneLine } from './format.js';

/** Where text goes: a stream, or a stand-in of a test. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  /** The width of a terminal. */
  columns?: number;
}

/** Prints lines for people. Names from files cannot move the cursor or begin a line; JSON stays the same JSON. */
export class Printer {
  /** @param stream for the terminal view alone, which moves the cursor. */
  constructor(readonly stream: Output) {}

  get isTTY(): boolean {
    return this.stream.isTTY === true;
  }

  print(...lines: readonly string[]): void {
    for (const line of lines) this.stream.write(`${printable(line)}\n`);
  }
}

/** Keeps the command running to its own exit code if its output is lost. A full disk is an error. */
export function surviveLostOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      // A reader that ended, such as `head`, is no error, and neither is a closed terminal.
      if (code === 'EPIPE' || code === 'ECONNRESET' || (code === 'EIO' && stream.isTTY)) return;
      process.exitCode = 1;
      if (stream === process.stdout) process.stderr.write(`error: Cannot print: ${oneLine(message)}\n`);
    });
  }
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  // At its end Node.js restores the terminals' modes, and aborts if a terminal is gone.
  process.on('exit', () => terminals.filter((descriptor) => !isatty(descriptor)).forEach(replaceByNull));
}

/** The system opens a file at the smallest free descriptor, which is the one just closed. */
function replaceByNull(descriptor: number): void {
  closeSync(descriptor);
  openSync('/dev/null', 'r+');
}
