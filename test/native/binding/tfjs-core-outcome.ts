/** What became of tfjs-core's tests. */
export interface CoreOutcome {
  passed: number;
  /** By tfjs-node's own list. */
  skipped: number;
  /** Names, each with what was said. */
  failed: [name: string, messages: string[]][];
  /** What failed outside any test. */
  elsewhere: string[];
}

/** What the comparison with tfjs's plain backend found. */
export interface Findings {
  cases: number;
  /** Cases that ran on both. */
  compared: number;
  /** What differs and is not accepted. */
  differences: string[];
  /** Accepted differences that there are not any more. */
  stale: string[];
  /** What the device refused and the plain backend ran, by op and data types: the errors. */
  refused: Record<string, string[]>;
  /** What the device ran and there is nothing to compare with, by op and data types: why. */
  uncompared: Record<string, string>;
  /** Kernels that no case ran. */
  notRun: string[];
}
