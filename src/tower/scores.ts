/** Right answers among a batch's scores. */

/**
 * In how many rows the label is among the `best` highest scores. Of equal scores the first counts as higher. A score
 * that is not a number counts as higher than every other, and is never right.
 * @param scores [B, K], row-major.
 * @param labels [B], from 0 to K - 1.
 */
export function countRight(scores: ArrayLike<number>, labels: Int32Array, best: number): number {
  const classes = scores.length / labels.length;
  let right = 0;
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row]!;
    const own = scores[row * classes + label]!;
    if (Number.isNaN(own)) continue;
    let higher = 0;
    for (let k = 0; k < classes; k++) {
      const score = scores[row * classes + k]!;
      if (score > own || (score === own && k < label) || Number.isNaN(score)) higher++;
    }
    if (higher < best) right++;
  }
  return right;
}
