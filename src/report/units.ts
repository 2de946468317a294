/** Numbers with their units, as a page shows them. `page/` uses it too. */
import { count } from '../numbers.js';
import type { Unit } from './figure.js';

/** About four digits: `0.4521`, `12.3`, `1,234`; small and large ones as `2.1e-7`. */
export function decimal(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(1);
  if (size >= 1000) return count(Math.round(value));
  return String(Number(value.toPrecision(4)));
}

const SIZES = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** `1.3 MB`, with 1 kB = 1000 bytes. */
export function bytes(value: number, digits = 3): string {
  let [size, at] = [value, 0];
  while (Math.abs(size) >= 1000 && at < SIZES.length - 1) {
    size /= 1000;
    at++;
  }
  return `${Number(size.toPrecision(digits))} ${SIZES[at]}`;
}

/** `83.9 %`. */
export function share(value: number): string {
  return `${Number((value * 100).toFixed(1))} %`;
}

/** `26.4 ms`, `3.2 s`. */
export function milliseconds(value: number): string {
  return Math.abs(value) >= 10_000
    ? `${Number((value / 1000).toPrecision(3))} s`
    : `${Number(value.toPrecision(3))} ms`;
}

/** A value with its unit; `–` if it is not known. */
export function show(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return SHOW[unit](value);
}

const SHOW: Record<Unit, (value: number) => string> = {
  ...{ count, share, number: decimal, ms: milliseconds, bytes: (value) => bytes(value) },
  'images/s': (value) => `${decimal(value)} images/s`,
};
