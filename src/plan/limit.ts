/** Says in a sentence what limits a step. */
import type { Parts, Plan } from './predict.js';

const WHAT: Record<keyof Parts, string> = {
  compute: 'computing',
  exchange: 'the exchange between the towers',
  images: 'sending the images to the servers',
  average: 'averaging the gradients of the replicas',
  host: "the program's own work",
  wait: 'waiting for the other tower or for a device that both use',
};

const HELP: Record<keyof Parts, string> = {
  compute: 'a faster link would change little',
  exchange: 'a faster link, --exchange device, --exchange-dtype float16 or both towers on one machine would help',
  images: 'a faster link would help, or smaller images',
  average: 'a faster link or a larger batch would help',
  host: 'a larger batch would help',
  wait: 'devices of equal speed, or more of them, would help',
};

/** The part that takes most of the slower tower's step. */
export function limitOf({ towers, stepMs }: Plan): { part: keyof Parts; share: number; text: string } {
  const slower = towers.reduce((a, b) => (b.parts.wait < a.parts.wait ? b : a));
  const parts = Object.entries(slower.parts) as [keyof Parts, number][];
  const [part, ms] = parts.reduce((a, b) => (b[1] > a[1] ? b : a));
  const share = ms / stepMs;
  const text = `${WHAT[part]} takes most of a step, ${Math.round(100 * share)} %: ${HELP[part]}`;
  return { part, share, text: `${text[0]!.toUpperCase()}${text.slice(1)}.` };
}
