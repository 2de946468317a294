/** The progress of long work: a bar on a terminal, which is drawn again in place, otherwise a sentence every 30 seconds. */
import { count, duration } from '../numbers.js';
import { barOf } from './live-view.js';
import type { Services } from './services.js';

const [REDRAW_MS, NOTE_EVERY_MS] = [200, 30_000];
const BAR_COLUMNS = 24;
const CLEAR_LINE_REST = '\u001b[K';

/**
 * Opens a progress bar. The first call says what earlier runs have done; the speed is that of the others.
 * @param what is done to the images, such as `packed`.
 */
export function openProgressBar(what: string, { stderr, env, now }: Services) {
  const isDrawn = stderr.isTTY && env.TERM !== 'dumb';
  let first: { done: number; at: number } | undefined;
  let shownAt = Number.NEGATIVE_INFINITY;
  let line = '';

  return {
    see(done: number, total: number): void {
      const at = now().getTime();
      first ??= { done, at };
      const isEnd = done === total;
      if (at - shownAt < (isDrawn ? REDRAW_MS : NOTE_EVERY_MS) && !(isEnd && isDrawn)) return;
      shownAt = at;
      const perSecond = ((done - first.done) * 1000) / (at - first.at);
      const speed = perSecond > 0 && Number.isFinite(perSecond) ? `${count(Math.round(perSecond))} images/s` : '';
      const left = speed && !isEnd ? `${duration((1000 * (total - done)) / perSecond)} left` : '';
      if (!isDrawn) {
        stderr.print([`${what}: ${count(done)} of ${count(total)} images`, speed, left].filter(Boolean).join(', '));
        return;
      }
      const parts = [what, barOf(done / total, BAR_COLUMNS), `${count(done)}/${count(total)} images`, speed, left];
      line = parts.filter(Boolean).join('  ');
      stderr.stream.write(`\r${line.slice(0, (stderr.stream.columns ?? 80) - 1)}${CLEAR_LINE_REST}`);
    },
    /** What is printed next begins on a line of its own. */
    close(): void {
      if (line !== '') stderr.stream.write('\n');
      line = '';
    },
  };
}
