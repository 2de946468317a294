/**
 * Error classes. What a user can cause is one of these; a broken invariant is an `assert`.
 *
 * Messages follow one grammar: "Cannot <action>: <what was found>, expected <what>; <what to do>".
 * `exitCode` is what the command line ends with: 2 for usage, 1 for failure.
 */

/** Base of every error that the command line prints as one sentence, without a stack trace. */
export class SplitError extends Error {
  readonly exitCode: number = 1;
  override name = 'SplitError';
}

/** A flag, a config file or a combination of settings that makes no run. Exit code 2. */
export class ConfigError extends SplitError {
  override readonly exitCode = 2;
  override name = 'ConfigError';
}

/** A data file that is missing, truncated or not what it says. */
export class DataError extends SplitError {
  override name = 'DataError';
}

/** The TensorFlow library is missing, cannot be fetched, or cannot be loaded. */
export class SetupError extends SplitError {
  override name = 'SetupError';
}

/** TensorFlow refused: carries its status code (`TF_Code`) and the op that failed, when there was one. */
export class NativeError extends SplitError {
  override name = 'NativeError';
  constructor(
    message: string,
    readonly code: number,
    readonly op?: string,
  ) {
    super(message);
  }
}

/** An exchange that did not happen: who, where, when. */
export class ExchangeError extends SplitError {
  override name = 'ExchangeError';
  constructor(
    message: string,
    readonly tower: number,
    readonly site: string,
    readonly step: number,
    /** Whether the other tower failed first: its own error says why. */
    readonly peerFailed = false,
  ) {
    super(message);
  }
}

/** A tower that failed or left. `cause` holds what it threw. */
export class TowerError extends SplitError {
  override name = 'TowerError';
  constructor(
    message: string,
    readonly tower: number,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** A loss or a gradient that is not a number, before the update of that step. */
export class NonFiniteError extends SplitError {
  override name = 'NonFiniteError';
  constructor(
    message: string,
    readonly step: number,
    /** The images of its batch in their order, by path, or by number in the training set. */
    readonly images: readonly string[] = [],
  ) {
    super(message);
  }
}

/** A checkpoint or weights file that cannot be written, read or used. */
export class CheckpointError extends SplitError {
  override name = 'CheckpointError';
  constructor(
    message: string,
    readonly path: string,
  ) {
    super(message);
  }
}

/** A check that ran and found the two sides different. */
export class VerifyError extends SplitError {
  override name = 'VerifyError';
}

/** A text that comes from a file, as a message shows it: as it is when it is short. */
export function truncate(text: string, most = 60): string {
  return text.length > most ? `${text.slice(0, most - 3)}...` : text;
}

/** The system's message without the call and the path, which whoever reports it has. */
export function systemMessage({ message }: Error): string {
  return message.replace(/, \w+( '.*')?$/s, '');
}
