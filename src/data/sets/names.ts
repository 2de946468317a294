/** A long list of names as one piece of shared memory: a million paths are not copied to every data thread. */

/** Names one after the other in UTF-8, and where each ends; both on SharedArrayBuffers. */
export interface Names {
  readonly bytes: Uint8Array;
  /** [names]; a float64 holds every place up to 2⁵³. */
  readonly ends: Float64Array;
}

export function packNames(names: readonly string[]): Names {
  const encoder = new TextEncoder();
  const ends = new Float64Array(new SharedArrayBuffer(8 * names.length));
  let end = 0;
  names.forEach((name, i) => {
    end += Buffer.byteLength(name);
    ends[i] = end;
  });
  const bytes = new Uint8Array(new SharedArrayBuffer(end));
  names.forEach((name, i) => {
    bytes.set(encoder.encode(name), i === 0 ? 0 : ends[i - 1]!);
  });
  return { bytes, ends };
}

export function nameAt({ bytes, ends }: Names, index: number): string {
  return Buffer.from(bytes.subarray(index === 0 ? 0 : ends[index - 1]!, ends[index])).toString();
}
