/** Names of classes, which are names of folders: those that look alike are the same. */

/**
 * A name in the form in which names are compared and kept, Unicode's composed one: macOS gives "é" as a letter and an
 * accent, other systems as one character. Files are opened by the name that the file system gives.
 */
export function composed(name: string): string {
  return name.normalize('NFC');
}

/** Whether two lists have the same names in the same order. */
export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => composed(name) === composed(b[i]!));
}

/** Two of the names that differ by their form alone, if there are two. */
export function alike(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => {
    const form = composed(name);
    if (seen.has(form)) return true;
    seen.add(form);
    return false;
  });
}
