/** The progress bar of a terminal. */
import cliProgress from 'cli-progress';
import type { EventOf } from '../log.js';
import { printable } from '../printable.js';

export interface Bar {
  update(event: EventOf<'train_step'>, steps: number, left: string): void;
  /** A line above the bar. */
  print(line: string): void;
  /** Draws the bar a last time and gives the terminal back. Does nothing the second time. */
  close(): void;
}

const BLUE = '\u001b[36m';
const PLAIN = '\u001b[39m';
/** The bar is cut at the terminal's edge, for it could not be redrawn over two lines; other lines go on below. */
const [WRAP, NO_WRAP] = ['\u001b[?7h', '\u001b[?7l'];

/**
 * A bar that appears with the first step. `NO_COLOR` (no-color.org) keeps it plain.
 * @param stream the terminal itself: the bar's own escapes are to reach it.
 */
export function openBar(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>): Bar {
  const drawn = env.NO_COLOR ? '{bar}' : `${BLUE}{bar}${PLAIN}`;
  const bars = new cliProgress.MultiBar({
    stream,
    format: `${drawn} {value}/{total}  loss {loss}  {speed} images/s  {left} left`,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    barsize: 24,
    hideCursor: true,
    gracefulExit: false, // signals are the command's
  });
  let bar: cliProgress.SingleBar | undefined;
  let open = true;
  return {
    update({ step, loss, images_per_s: speed }, steps, left) {
      if (!open) return;
      const payload = { loss: loss.toFixed(4), speed: speed.toFixed(0), left };
      bar ??= bars.create(steps, step, payload);
      bar.update(step, payload);
    },
    print(line) {
      if (bar && open) bars.log(`${WRAP}${printable(line)}\n${NO_WRAP}`);
      else stream.write(`${printable(line)}\n`);
    },
    close() {
      if (bar && open) {
        bars.update(); // lines that wait are printed
        bars.stop();
      }
      open = false;
    },
  };
}
