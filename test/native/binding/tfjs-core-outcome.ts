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
