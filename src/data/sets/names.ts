/** Names of classes, and lists of paths in shared memory. */

/**
 * The form in which names are compared and stored: Unicode's composed form (NFC). macOS writes "é" as a letter and an
 * accent, other systems as one character. Files are still opened by the name that the file system gives.
 */
export function normalizeName(name: string): string {
  return name.normalize('NFC');
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => normalizeName(name) === normalizeName(b[i]!));
}

/** The first name that another one equals after normalization. */
export function findDuplicate(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => {
    const isKnown = seen.has(normalizeName(name));
    seen.add(normalizeName(name));
    return isKnown;
  });
}

/** Strings in UTF-8, one after the other, on SharedArrayBuffers: a million paths are not copied to every data worker. */
export interface Names {
  readonly bytes: Uint8Array;
  /** [names] Where each name ends; float64 holds every offset up to 2⁵³. */
  readonly ends: Float64Array;
}

export function packNames(names: readonly string[]): Names {
  const ends = new Float64Array(new SharedArrayBuffer(8 * names.length));
  let end = 0;
  for (let i = 0; i < names.length; i++) {
    end += Buffer.byteLength(names[i]!);
    ends[i] = end;
  }
  const bytes = Buffer.from(new SharedArrayBuffer(end));
  for (let i = 0; i < names.length; i++) bytes.write(names[i]!, ends[i - 1] ?? 0);
  return { bytes: new Uint8Array(bytes.buffer), ends };
}

export function nameAt({ bytes, ends }: Names, index: number): string {
  return Buffer.from(bytes.subarray(ends[index - 1] ?? 0, ends[index])).toString();
}
