/**
 * Errors that a user can cause. A broken invariant is an `assert`.
 *
 * Messages have one form: "Cannot <action>: <what was wrong>, expected <what>; <what to do>".
 */

/** The base of all errors that the command line prints as one sentence, without a stack trace. */
export class SplitError extends Error {
  /** The exit code of the command line: 2 for wrong usage, 1 for a failure. */
  readonly exitCode: number = 1;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A flag, a config file or a combination of settings that is not valid. */
export class ConfigError extends SplitError {
  override readonly exitCode = 2;
}

/** A data file that is missing, truncated or has the wrong contents. */
export class DataError extends SplitError {}

/** The TensorFlow library is missing, cannot be fetched, or cannot be loaded. */
export class SetupError extends SplitError {}

/** An error of TensorFlow, with its status code (`TF_Code`) and, if there was one, the op that failed. */
export class NativeError extends SplitError {
  constructor(
    message: string,
    readonly code: number,
    readonly op?: string,
  ) {
    super(message);
  }
}

/** A server that cannot be reached or used. */
export class ServerError extends SplitError {
  constructor(
    message: string,
    /** `HOST:PORT`. */
    readonly server: string,
    /** Node.js's code of the failure, such as ECONNREFUSED. */
    readonly code?: string,
  ) {
    super(message);
  }
}

/** A server that was lost with what the run held on its devices. */
export class ServerLostError extends ServerError {
  constructor(
    message: string,
    server: string,
    /** How it was lost, to follow the server's name: "has ended". */
    readonly how: string,
  ) {
    super(message, server);
  }
}

/** An exchange that failed: of which tower, at which site, in which step. */
export class ExchangeError extends SplitError {
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

/** A tower that failed or ended. `cause` is what it threw. */
export class TowerError extends SplitError {
  constructor(
    message: string,
    readonly tower: number,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** A loss or a gradient that is not finite. The step has not updated the parameters. */
export class NonFiniteError extends SplitError {
  constructor(
    message: string,
    readonly step: number,
    /** The batch's images in order: paths, or numbers in the training set. */
    readonly images: readonly string[] = [],
  ) {
    super(message);
  }
}

/** A checkpoint or weights file that cannot be written, read or used. */
export class CheckpointError extends SplitError {
  constructor(
    message: string,
    readonly path: string,
  ) {
    super(message);
  }
}

/** A comparison that found a difference. */
export class VerifyError extends SplitError {}

/** Shortens a text from a file for a message. */
export function truncate(text: string, most = 60): string {
  return text.length > most ? `${text.slice(0, most - 3)}...` : text;
}

/** Returns the message of a system error without the system call and the path. */
export function systemMessage({ message }: Error): string {
  return message.replace(/, \w+( '.*')?$/s, '');
}
