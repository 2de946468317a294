/** A figure: measured values, kept in `benchmarks/<name>.json`, and the blocks of Markdown on the pages that show them. */
import type { Runner } from './runner.js';

/** How a figure was made. */
export interface Origin {
  /** ISO 8601, UTC. */
  date: string;
  commit: string;
  cpu: string;
  cores: number;
  memoryGiB: number;
  /** The GPU's name, or `none`. */
  gpu: string;
  node: string;
  tensorflow: string;
}

/** The content of `benchmarks/<name>.json`. */
export interface FigureRecord<Result = unknown> extends Origin {
  /** The command lines, as somebody would type them in a clone. */
  commands: readonly string[];
  /**
   * Present if the values were taken from a page, and not measured by the maker: where they were. The commands are then
   * those that the page had.
   */
  converted?: string;
  result: Result;
}

/** A block of Markdown, without the comments around it. */
export type Block<Result> = (result: Result, origin: Origin) => string;

/** What makes a figure: a file of `scripts/figures/` exports one. */
export interface Maker<Result = unknown> {
  name: string;
  /** About how long it takes, on two cores. */
  minutes: number;
  /** The command lines that it runs, and no others. `--check` parses them with today's program. */
  commands: readonly string[];
  /** What a machine needs beside Node.js and the TensorFlow library, such as PyTorch. */
  needs?: string;
  measure(runner: Runner): Promise<Result>;
  /** By name. The comment on the page has `name/block`, or `name` alone for the block of that name. */
  blocks: Readonly<Record<string, Block<Result>>>;
}

/** Blocks that the program computes from its code, without measuring. They have no JSON. */
export interface Computed {
  name: string;
  blocks: Readonly<Record<string, () => string>>;
}

/** A maker of any result. The result that a maker reads is the one that it wrote. */
// biome-ignore lint/suspicious/noExplicitAny: its blocks take its own result, which is not known here.
export type AnyFigure = Maker<any> | Computed;

export function isMaker(figure: AnyFigure): figure is Maker {
  return 'measure' in figure;
}
