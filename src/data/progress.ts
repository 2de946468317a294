/** What is told about work on many images. */

/** Told how many images are done. */
export type Progress = (done: number, total: number) => void;

const NOTE_EVERY_MS = 30_000;

/** A sentence now and then, the first one at once. */
export function notesOfProgress(what: string, note: (text: string) => void = () => {}): Progress {
  let noted = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const now = performance.now();
    if (now - noted < NOTE_EVERY_MS) return;
    noted = now;
    note(`${what}: ${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} images`);
  };
}
