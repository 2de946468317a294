/** The lines of the terminal view, made of a training's state. */
import { count, duration } from '../numbers.js';
import type { LiveState } from './live-state.js';

/** What the terminal can show. */
export interface Look {
  columns: number;
  /** Whether it shows block characters; ASCII otherwise. */
  unicode: boolean;
  colour: boolean;
}

const [CYAN, DEFAULT_COLOUR] = ['\u001b[36m', '\u001b[39m'];
const BLOCKS = [...'▁▂▃▄▅▆▇█'];
const ASCII_BLOCKS = [...'_.,-=+*#'];
const GAP = '  ';
/** A drawing is as wide as the line allows, between these. */
const [MIN_DRAWING, MAX_BAR, MAX_SPARKLINE] = [8, 24, 60];
/** A narrower terminal needs the place for the sparkline itself. */
const SINCE_COLUMNS = 72;

/** A bar or a sparkline, in front of the part with this index. */
interface Drawing {
  before: number;
  max: number;
  draw(size: number): string;
}

/**
 * The view as lines: progress, loss, speed with the towers' shares, the last evaluation. Each is shorter than the terminal is
 * wide. The towers have lines of their own if they do not fit on one; of a line that does not fit the last parts are left out.
 */
export function viewLines(state: LiveState, look: Look): string[] {
  const { steps, step, losses, towers, evaluation } = state;
  const width = look.columns - 1; // some terminals wrap a line that is as long as they are wide
  const line = (parts: readonly string[], drawing?: Drawing) => lineOf(parts, width, look.colour, drawing);
  const speed = `${rate(state.imagesPerSecond)} images/s`;
  const shares = towers.map(
    ({ name, exchange, wait }) => `${name}: exchange ${percent(exchange)}, wait ${percent(wait)}`,
  );
  const isWide = [speed, ...shares].join(GAP).length <= width;
  return [
    steps === undefined
      ? line([`step ${count(step)}`, `epoch ${state.epoch}`])
      : line([`${count(step)}/${count(steps)}`, `${duration(state.leftMs)} left`, `epoch ${state.epoch}`], {
          ...{ before: 0, max: MAX_BAR },
          draw: (size) => barOf(step / steps, size),
        }),
    line(
      [
        `loss ${losses.at(-1)!.toFixed(4)}`,
        `top-1 ${state.top1.toFixed(3)}`,
        ...(look.columns >= SINCE_COLUMNS ? [`since step ${count(state.since)}`] : []),
      ],
      {
        ...{ before: 1, max: MAX_SPARKLINE },
        draw: (size) => sparkline(losses, size, look.unicode ? BLOCKS : ASCII_BLOCKS),
      },
    ),
    ...(isWide ? [line([speed, ...shares])] : [speed, ...shares].map((each) => line([each]))),
    ...(evaluation ? [line(evaluationParts(evaluation))] : []),
  ];
}

function evaluationParts({ step, top1, top5, loss }: NonNullable<LiveState['evaluation']>): string[] {
  return [
    `test top-1 ${top1.toFixed(4)}`,
    `step ${count(step)}`,
    `top-5 ${top5.toFixed(4)}`,
    `loss ${loss.toFixed(4)}`,
  ];
}

/** The parts that fit, and the drawing if it fits beside them. */
function lineOf(parts: readonly string[], width: number, colour: boolean, drawing?: Drawing): string {
  const length = (texts: readonly string[]) => texts.join(GAP).length;
  let fitting = parts.length;
  while (fitting > 1 && length(parts.slice(0, fitting)) > width) fitting--;
  const shown = parts.slice(0, fitting).map((each) => each.slice(0, width));
  const size = Math.min(drawing?.max ?? 0, width - length(shown) - GAP.length);
  if (drawing && size >= MIN_DRAWING) {
    const drawn = drawing.draw(size);
    shown.splice(drawing.before, 0, colour ? `${CYAN}${drawn}${DEFAULT_COLOUR}` : drawn);
  }
  return shown.join(GAP);
}

/** A bar of `size` characters. */
export function barOf(share: number, size: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * size);
  return '#'.repeat(done) + '.'.repeat(size - done);
}

/**
 * Draws values as a line of characters, from the smallest to the largest of `blocks`. With more values than characters, each
 * character is the mean of successive ones. What is not finite leaves a gap.
 */
export function sparkline(values: readonly number[], size: number, blocks: readonly string[] = BLOCKS): string {
  const points = Math.min(size, values.length);
  const means = Array.from({ length: points }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / points), Math.floor(((i + 1) * values.length) / points));
    return part.reduce((total, value) => total + value, 0) / part.length;
  });
  const finite = means.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  return means
    .map((mean) => {
      if (!Number.isFinite(mean)) return ' ';
      const share = high > low ? (mean - low) / (high - low) : 0;
      return blocks[Math.min(blocks.length - 1, Math.floor(share * blocks.length))];
    })
    .join('');
}

function rate(imagesPerSecond: number): string {
  return imagesPerSecond < 10 ? imagesPerSecond.toFixed(1) : imagesPerSecond.toFixed(0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}
