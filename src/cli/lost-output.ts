/** Output that nobody reads any more: a reader that left, a terminal that is gone. */
import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { oneLine } from './format.js';

const STANDARD = [0, 1, 2] as const;

/** Has the command go on, and end with its own exit code, whatever becomes of its output. A full disk is an error. */
export function surviveLostOutput(): void {
  for (const stream of [process.stdout, process.stderr]) dropWhatIsLost(stream);
  const terminals = STANDARD.filter((descriptor) => isatty(descriptor));
  // Node.js sets terminals back when it ends, and aborts where one is gone.
  process.on('exit', () => terminals.filter((descriptor) => !isatty(descriptor)).forEach(leadNowhere));
}

/** What is left to print is dropped. A reader that left, such as `head`, is no error, and neither is a terminal that is gone. */
function dropWhatIsLost(stream: NodeJS.WriteStream): void {
  stream.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || code === 'ECONNRESET' || (code === 'EIO' && stream.isTTY)) return;
    process.exitCode = 1;
    if (stream === process.stdout) process.stderr.write(`error: Cannot print: ${oneLine(message)}\n`);
  });
}

/** The system gives the smallest number that is free. */
function leadNowhere(descriptor: number): void {
  closeSync(descriptor);
  openSync('/dev/null', 'r+');
}
