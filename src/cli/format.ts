/** Numbers and tables as the commands print them. */
import { truncate } from '../errors.js';
import { printable } from '../printable.js';

/** More than any of our own sentences have. */
const MAX_MESSAGE = 8_000;

/** A message's lines as one, not endless, and without what a terminal would obey: names in it come from files. */
export function oneLine(message: string): string {
  return printable(truncate(message.trim(), MAX_MESSAGE).replace(/\s*\n\s*/g, ' '));
}

/** `61,000,000`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `4 s`, `1:05`, `2:03:04`. */
export function duration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return '?';
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const two = (value: number) => String(value).padStart(2, '0');
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  return hours > 0 ? `${hours}:${two(minutes % 60)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** A small difference, `2.1e-7`; zero, NaN and the infinities as they are. */
export function difference(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(1);
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
