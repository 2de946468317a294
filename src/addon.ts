/** Why a package with machine code does not load, and what to do about it. */
import { accessSync, constants, statSync } from 'node:fs';

const ALL_MAY_EXECUTE = 0o111;

/**
 * Whether the system runs no program from a file's disk, which is then mounted `noexec`. Returns false if the file's own
 * mode forbids to execute it, because then there is no way to tell.
 */
export function isNoexec(file: string): boolean {
  try {
    if ((statSync(file).mode & ALL_MAY_EXECUTE) !== ALL_MAY_EXECUTE) return false;
    accessSync(file, constants.R_OK);
  } catch {
    return false;
  }
  try {
    accessSync(file, constants.X_OK); // fails on such a disk, also for root
    return false;
  } catch {
    return true;
  }
}

/** Returns the file that the system did not map as code, from a message of dlopen. */
export function unmappableFile(message: string): string | undefined {
  return /(\/[^\n]*?): failed to map segment from shared object/.exec(message)?.[1];
}

/** Returns why a package does not load and what to do, for the end of a sentence. @param error what loading it threw. */
export function explainLoadFailure(name: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const file = unmappableFile(message);
  if (file !== undefined)
    return `${name} does not load: the system runs no code from the disk of ${file}, which is probably mounted noexec; put node_modules on another disk, or have that one mounted with exec`;
  const [line] = message.split('\n');
  return `${name} does not load (${line}), expected its binary for ${process.platform}-${process.arch}; install the packages again, with the optional ones, which npm may be set to omit: npm install --include=optional`;
}
