/** The views of a test image that a net is asked about: its middle, or the paper's ten. */
import { ConfigError } from '../../errors.js';
import { type Changes, plainChanges } from './augment.js';

/** How many views of each test image there are. */
export type Views = 1 | 10;

/**
 * The views in order. Of ten: the windows at the corners top left, top right, bottom left and bottom right and in the
 * middle, then the same five mirrored (paper §4.1).
 * @throws ConfigError for ten views of an image that is no larger than the window.
 */
export function changesOfViews(views: Views, resize: number, inputSize: number): Changes[] {
  const middle = plainChanges(resize, inputSize);
  if (views === 1) return [middle];
  const far = resize - inputSize;
  if (far === 0) {
    throw new ConfigError(
      `Cannot take ten views of the images: data.resize is ${resize}, as net.inputSize is, so the corners are the middle, expected more; evaluate without --ten-view, or take a run with a larger data.resize`,
    );
  }
  const corners = [0, far].flatMap((top) => [0, far].map((left) => ({ ...middle, top, left })));
  return [false, true].flatMap((flip) => [...corners, middle].map((each) => ({ ...each, flip })));
}
