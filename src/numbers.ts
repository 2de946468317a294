/** Numbers as people read them. */

/** `61,000,000`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 epoch`, `2,000 images`. @param one the word for one of them, whose plural ends with s. */
export function plural(number: number, one: string): string {
  return `${count(number)} ${one}${number === 1 ? '' : 's'}`;
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

/** Bytes, `12.5 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Sums a number of each value. */
export function sumOf<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** The images of a run, from its `run_start`: `500 of 60,000 training and 10,000 test images`. */
export function imagesText(dataset: {
  train_images: number;
  test_images: number;
  val_share?: number | undefined;
  all_train_images?: number | undefined;
}): string {
  const { train_images: train, test_images: test, val_share: share, all_train_images: all } = dataset;
  const of = all === undefined ? '' : ` of ${count(all)}`;
  const chosen = share === undefined ? '' : ` (${share} of each class)`;
  return `${count(train)}${of} training and ${count(test)} test images${chosen}`;
}
