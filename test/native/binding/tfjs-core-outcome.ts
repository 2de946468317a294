/** The results of tfjs-core's tests. */
export interface CoreOutcome {
  passed: number;
  /** On tfjs-node's own list. */
  skipped: number;
  /** Names with the error messages. */
  failed: [name: string, messages: string[]][];
  /** Failures outside any test. */
  elsewhere: string[];
}

/** The results of the comparison with tfjs's plain backend. */
export interface Findings {
  cases: number;
  /** Cases that ran on both backends. */
  compared: number;
  /** Differences that are not accepted. */
  differences: string[];
  /** Accepted differences that no longer exist. */
  stale: string[];
  /** The errors of cases that the device refused and the plain backend ran, by op and data types. */
  refused: Record<string, string[]>;
  /** Why a case that the device ran could not be compared, by op and data types. */
  uncompared: Record<string, string>;
  /** Kernels that no case ran. */
  notRun: string[];
}
