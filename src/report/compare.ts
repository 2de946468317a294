/** Compares the speed of two runs. */
import { count } from '../numbers.js';
import { ms } from './limit.js';
import type { Comparison, RunReport, StepTime } from './model.js';
import { settingsOf } from './settings.js';

/** From this ratio on, one run is slower than the other. */
export const LARGE_RATIO = 1.02;
/** Parts with this share of the difference, longer or shorter, are named. */
const LARGE_SHARE = 0.1;

const PARTS: Record<keyof StepTime['parts'], string> = {
  data: 'data',
  compute: 'computing',
  exchange: 'exchange',
  wait: 'wait',
  other: 'commands between the threads',
};

/** @returns undefined if one of them has no step that counts. */
export function compareRuns(first: RunReport, second: RunReport): Comparison | undefined {
  if (!first.time || !second.time) return undefined;
  const isSecondFaster = second.time.imagesPerSecond > first.time.imagesPerSecond;
  const [faster, slower] = isSecondFaster ? [second, first] : [first, second];
  const nameOf = namesOf([first, second]);
  const ratio = faster.time!.imagesPerSecond / slower.time!.imagesPerSecond;
  const differences = differencesOf(first, second);
  const names = { faster: nameOf(faster), slower: nameOf(slower) };
  const sentence =
    differences.length > 0
      ? `The speeds of ${nameOf(first)} and ${nameOf(second)} are not comparable: ${differences.join('; ')}.`
      : speedSentence(faster.time!, slower.time!, ratio, names);
  return { ...names, ratio, comparable: differences.length === 0, sentence };
}

/** Names of runs; with the folder if two have the same name. */
export function namesOf(runs: readonly RunReport[]): (run: RunReport) => string {
  return ({ run, folder }) => (runs.filter((each) => each.run === run).length > 1 ? folder : run);
}

function speedSentence(faster: StepTime, slower: StepTime, ratio: number, names: { faster: string; slower: string }) {
  const images = [faster, slower].map(({ imagesPerSecond }) => count(Math.round(imagesPerSecond)));
  if (ratio < LARGE_RATIO) {
    return `${names.faster} and ${names.slower} are equally fast: ${images.join(' and ')} images/s. ${slower.limit}`;
  }
  const longer = slower.mean - faster.mean;
  const changes = (Object.keys(PARTS) as (keyof typeof PARTS)[])
    .map((part) => ({ part, ms: slower.parts[part] - faster.parts[part] }))
    .filter((each) => Math.abs(each.ms) >= LARGE_SHARE * longer)
    .sort((a, b) => Math.abs(b.ms) - Math.abs(a.ms));
  const listed = (title: string, parts: typeof changes) => {
    const texts = parts.map((each) => `${PARTS[each.part]} ${ms(Math.abs(each.ms))}`);
    if (texts.length === 0) return [];
    return [`${title}: ${texts.length > 1 ? `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}` : texts[0]}`];
  };
  const causes = [
    ...listed(
      'more',
      changes.filter((each) => each.ms > 0),
    ),
    ...listed(
      'less',
      changes.filter((each) => each.ms < 0),
    ),
  ];
  const cause = longer > 0 && causes.length > 0 ? ` (${causes.join('; ')})` : '';
  return `${names.slower} takes ${ratio.toFixed(2)} times as long for an image as ${names.faster}: a step takes ${ms(slower.mean)} instead of ${ms(faster.mean)}${cause}. ${slower.limit}`;
}

/** In what the runs differ that decides the time of a step. */
function differencesOf(a: RunReport, b: RunReport): string[] {
  const nameOf = namesOf([a, b]);
  const facts = [a, b].map(({ start }) => {
    const { batchSize, net } = start ? settingsOf(start) : {};
    const kinds = start?.towers.map(({ device }) => device.replace(/:.*/, ''));
    return {
      batch: `batches of ${batchSize} images`,
      net,
      devices: `devices of the kind ${[...new Set(kinds)].join(' and ')}`,
      tensorflow: `TensorFlow ${start?.versions.tensorflow}`,
    };
  });
  const [first, second] = facts as [(typeof facts)[number], (typeof facts)[number]];
  if (!a.start || !b.start) return [`the log of ${nameOf(a.start ? b : a)} has no run_start`];
  const both = (key: keyof typeof first) => `${nameOf(a)} has ${first[key]}, and ${nameOf(b)} has ${second[key]}`;
  return (Object.keys(first) as (keyof typeof first)[])
    .filter((key) => first[key] !== second[key])
    .map((key) => (key === 'net' ? 'their nets differ' : both(key)));
}
