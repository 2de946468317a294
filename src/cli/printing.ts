/** The one way by which text for people leaves: what a terminal would obey in it is shown instead. */
import { printable } from '../printable.js';
import type { Output } from './services.js';

/**
 * An output of which each `write` is one line, or a part of one: whatever stands in a name, it neither moves the cursor
 * nor begins a line of its own. JSON stays the same JSON.
 */
export function plainOutput(output: Output): Output {
  return {
    write: (text) => output.write(text.endsWith('\n') ? `${printable(text.slice(0, -1))}\n` : printable(text)),
    isTTY: output.isTTY === true,
    terminal: output,
  };
}

/** Writes a text of several lines. */
export function writeLines(output: Output, text: string): void {
  for (const line of text.replace(/\n$/, '').split('\n')) output.write(`${line}\n`);
}
