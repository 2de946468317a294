/** Lists of steps, such as `5,9-11`. */

/** The largest step, and the longest list. */
const MOST_STEP = 1_000_000_000;
const MOST_RANGES = 100;

export type StepRange = [first: number, last: number];

/** The first and the last step of each range; undefined if the text is not a list of steps. */
export function rangesOf(text: string): StepRange[] | undefined {
  const ranges = text.split(',').map((each): StepRange | undefined => {
    const found = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(each);
    if (!found) return undefined;
    const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])];
    return first >= 1 && last >= first && last <= MOST_STEP ? [first, last] : undefined;
  });
  const isValid = ranges.length <= MOST_RANGES && ranges.every((range) => range !== undefined);
  return isValid ? (ranges as StepRange[]) : undefined;
}

/** Whether a list has one of these steps. @param ranges from {@link rangesOf}. */
export function hasStep(ranges: readonly StepRange[] | undefined, from: number, to = from): boolean {
  return ranges?.some(([first, last]) => first <= to && last >= from) ?? false;
}
