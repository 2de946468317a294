/** Some lines at the bottom of a terminal that are drawn again in place, while other lines scroll above them. */
import { stripVTControlCharacters } from 'node:util';
import type { Services } from './services.js';

/** The stream of a terminal, or a stand-in of a test. */
export interface Terminal {
  write(text: string): unknown;
  columns?: number;
  rows?: number;
  on?(event: 'resize', action: () => void): unknown;
  off?(event: 'resize', action: () => void): unknown;
}

export interface Block {
  /** Draws the lines that `make` returns: now, or when {@link REDRAW_MS} have passed since the last time. */
  draw(make: (columns: number) => readonly string[]): void;
  /** Prints a line above the block. */
  print(line: string): void;
  /** Draws a last time and restores the terminal. Later lines are printed below; nothing is drawn any more. */
  close(): void;
}

/** Ten times a second is what eyes can follow. Steps may take 3 ms. */
const REDRAW_MS = 100;

const [HIDE_CURSOR, SHOW_CURSOR] = ['\u001b[?25l', '\u001b[?25h'];
const [CLEAR_LINE_REST, CLEAR_BELOW] = ['\u001b[K', '\u001b[J'];

/** Whether a terminal can draw lines again. */
export function canRedraw({ stdout, env }: Services): boolean {
  return stdout.isTTY && env.TERM !== 'dumb';
}

/** Whether the user wants colours (no-color.org). */
export function wantsColour(env: Services['env']): boolean {
  return !env.NO_COLOR;
}

/** Whether the terminal shows characters beyond ASCII: by the locale, and not on the console of Linux, whose fonts lack them. */
export function showsUnicode({ LC_ALL, LC_CTYPE, LANG, TERM }: Services['env']): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '') && TERM !== 'linux';
}

/** Opens a block. It appears with the first `draw`. */
export function openBlock(terminal: Terminal): Block {
  let make: ((columns: number) => readonly string[]) | undefined;
  let shown: readonly string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let drawnAt = Number.NEGATIVE_INFINITY;
  let isOpen = true;
  const columns = () => terminal.columns || 80;

  /** Moves the cursor to the block's first line. Terminals wrap its lines again when they become narrower. */
  function toTop(): string {
    const rows = shown.reduce((total, line) => total + Math.max(1, Math.ceil(widthOf(line) / columns())), 0);
    return rows > 0 ? `\u001b[${rows}A\r` : '';
  }

  /** @param above lines to print above the block. */
  function redraw(above = ''): void {
    clearTimeout(timer);
    timer = undefined;
    drawnAt = performance.now();
    const isFirst = shown.length === 0;
    const top = toTop();
    // One line is left for the cursor: what has scrolled away cannot be drawn again.
    shown = (make?.(columns()) ?? []).slice(0, Math.max(1, (terminal.rows || 24) - 1));
    const lines = shown.map((line) => `${line}${CLEAR_LINE_REST}\n`).join('');
    const isEmpty = shown.length === 0;
    terminal.write(
      (isFirst && !isEmpty ? HIDE_CURSOR : '') +
        top +
        (above && top ? CLEAR_BELOW : '') +
        above +
        lines +
        (isFirst ? '' : CLEAR_BELOW),
    );
  }

  const onResize = () => make && redraw();
  terminal.on?.('resize', onResize);

  return {
    draw(next) {
      if (!isOpen) return;
      make = next;
      const waitMs = drawnAt + REDRAW_MS - performance.now();
      if (waitMs <= 0) redraw();
      else timer ??= setTimeout(redraw, waitMs).unref();
    },
    print(line) {
      if (isOpen) redraw(`${line}\n`);
      else terminal.write(`${line}\n`);
    },
    close() {
      if (!isOpen) return;
      if (make) redraw();
      if (make) terminal.write(SHOW_CURSOR);
      isOpen = false;
      clearTimeout(timer);
      terminal.off?.('resize', onResize);
    },
  };
}

function widthOf(line: string): number {
  return stripVTControlCharacters(line).length;
}
