/** From a net's scores to probabilities. */

/**
 * Adds each row's softmax, times `weight`, to `sums`.
 * @param sums [B, K]; @param logits [B, K], row-major.
 */
export function addProbabilities(sums: Float64Array, logits: Float32Array, classes: number, weight = 1): void {
  for (let row = 0; row < logits.length; row += classes) {
    const scores = logits.subarray(row, row + classes);
    const highest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    let total = 0;
    for (const score of scores) total += Math.exp(score - highest);
    for (let k = 0; k < classes; k++) sums[row + k]! += (weight * Math.exp(scores[k]! - highest)) / total;
  }
}
