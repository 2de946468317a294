/** Packages that bring machine code, one file for each kind of machine: why one does not load, and what to do. */
import { accessSync, constants, statSync } from 'node:fs';

const EVERYBODY = 0o111;

/** What dlopen says where the system does not let a file's code be run. */
const NOT_MAPPED = /(\/[^\n]*?): failed to map segment from shared object/;

/**
 * Whether the system runs nothing from a file's disk, which is then mounted `noexec`; false where the file's own mode
 * does not let it be run, so that nothing can be told.
 */
export function isNoexec(file: string): boolean {
  try {
    if ((statSync(file).mode & EVERYBODY) !== EVERYBODY) return false;
    accessSync(file, constants.R_OK);
  } catch {
    return false;
  }
  try {
    accessSync(file, constants.X_OK); // which is refused for such a disk, to root too
    return false;
  } catch {
    return true;
  }
}

/** The file whose code the system did not let be run, out of what dlopen says. */
export function unmappableFile(message: string): string | undefined {
  return NOT_MAPPED.exec(message)?.[1];
}

/**
 * Why a package does not load and what to do, for the end of a sentence.
 * @param error what loading it threw.
 */
export function explainLoadFailure(name: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const file = unmappableFile(message);
  if (file !== undefined)
    return `${name} does not load: the system runs no code from the disk of ${file}, which is probably mounted noexec; put node_modules on another disk, or have that one mounted with exec`;
  const [line] = message.split('\n');
  return `${name} does not load (${line}), expected its binary for ${process.platform}-${process.arch}; install the packages again, the optional ones too, which npm leaves out where it is set to omit them: npm install --include=optional`;
}
