/** Lists of steps, such as `5,9-11`. */

/** The largest step, and the longest list. */
const MOST_STEP = 1_000_000_000;
const MOST_RANGES = 100;

/** The first and the last step of each range; undefined if the text is not a list of steps. */
export function rangesOf(text: string): [first: number, last: number][] | undefined {
  const ranges = text.split(',').map((each): [number, number] | undefined => {
    const found = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(each);
    if (!found) return undefined;
    const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])];
    return first >= 1 && last >= first && last <= MOST_STEP ? [first, last] : undefined;
  });
  const isValid = ranges.length <= MOST_RANGES && ranges.every((range) => range !== undefined);
  return isValid ? (ranges as [number, number][]) : undefined;
}

/** Whether a list has one of these steps. */
export function hasStep(list: string, from: number, to = from): boolean {
  return rangesOf(list)?.some(([first, last]) => first <= to && last >= from) ?? false;
}
