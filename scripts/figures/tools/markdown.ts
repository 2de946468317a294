/** What makers share to write Markdown. */
import type { Origin } from './figure.js';

type Cell = string | number;

/** A table; the first column may have an empty name. */
export function markdownTable(header: readonly Cell[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A code block. */
export function fenced(...lines: readonly string[]): string {
  return ['```', ...lines, '```'].join('\n');
}

/** Where and when something was measured, for a figure that depends on the machine. */
export function machineOf({ cpu, cores, gpu, date }: Origin): string {
  return `${cpu}, ${cores} cores, ${gpu === 'none' ? 'no GPU' : gpu}, ${date.slice(0, 10)}`;
}

/** `1 minute`, `2 minutes`. */
export function counted(count: number, unit: string): string {
  return `${count.toLocaleString('en-US')} ${unit}${count === 1 ? '' : 's'}`;
}

export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** `+2.7`, `−0.3`. */
export function signed(value: number, digits = 1): string {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? '−' : '+'}${text}`;
}
