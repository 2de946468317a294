/** Messages and tables as the commands print them. */
import { truncate } from '../errors.js';
import { count } from '../numbers.js';
import { printable } from '../printable.js';

/** More than any of our own sentences have. */
const MAX_MESSAGE = 8_000;

/** A message's lines as one, not endless, and without what a terminal would obey: names in it come from files. */
export function oneLine(message: string): string {
  return printable(truncate(message.trim(), MAX_MESSAGE).replace(/\s*\n\s*/g, ' '));
}

/** Rows under a header, columns aligned: text to the left, a column whose every cell is a number to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : printable(cell))));
  const widths = header.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i]!.length)));
  const right = header.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  return [header, ...cells].map((row) =>
    row
      .map((cell, i) => (right[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
