/** Learning rates that a net is known not to bear. Every number was measured: docs/warnings.md has the runs. */
import type { Config } from '../config/config.js';
import type { EventOf } from '../log.js';
import type { TableName } from '../model/tables.js';
import type { Warning } from './warnings.js';

/** What every training came to grief with that was tried, and of what kind they were. */
interface Known {
  table: TableName;
  init: Config['net']['init'];
  /** The least and the largest width with which it was tried; a wider net may bear more. */
  widths: readonly [number, number];
  momentum: number;
  /** The sizes of batch with which it was tried; larger ones bear more. */
  batches: readonly number[];
  /** Images of a smaller deviation bear more. */
  imagesSd: number;
  /** From here on: the rate / (1 - momentum), which is what a steady gradient is followed with. */
  effective: number;
  /** At that all learnt with which it was tried. */
  learnt: number;
}

const ORIGINAL = { table: 'original', init: 'he', imagesSd: 0.9 } as const;
const PAPER = { table: 'paper', init: 'he', imagesSd: 0.9 } as const;
const TUTORIAL = { table: 'tutorial', init: 'xavier', imagesSd: 0.3 } as const;

/** The first that fits counts. */
const KNOWN: readonly Known[] = [
  { ...ORIGINAL, widths: [0.125, 1], momentum: 0.9, batches: [64], effective: 1.6, learnt: 0.4 },
  { ...ORIGINAL, widths: [0.25, 0.25], momentum: 0.9, batches: [64, 256], effective: 1.6, learnt: 0.4 },
  { ...ORIGINAL, widths: [0.125, 1], momentum: 0, batches: [64], effective: 0.6, learnt: 0.4 },
  { ...ORIGINAL, widths: [0.25, 0.25], momentum: 0, batches: [64, 256], effective: 1.6, learnt: 0.4 },
  { ...PAPER, widths: [0.25, 0.25], momentum: 0.9, batches: [64, 256], effective: 1.6, learnt: 0.8 },
  { ...TUTORIAL, widths: [0.125, 0.125], momentum: 0.9, batches: [32, 128], effective: 1.6, learnt: 0.8 },
  { ...TUTORIAL, widths: [0.125, 0.5], momentum: 0, batches: [32], effective: 0.4, learnt: 0.2 },
  { ...TUTORIAL, widths: [0.125, 0.125], momentum: 0, batches: [32, 128], effective: 0.4, learnt: 0.2 },
];

/** As all nets were with which rates were tried. */
function isOfKind({ inputSize, classes, dropout, norm, overlap, activation = 'relu' }: Config['net']): boolean {
  return inputSize === 67 && classes === 10 && dropout && norm !== false && overlap !== false && activation === 'relu';
}

/**
 * Before the first step, of nets that begin with their initial values.
 * @param activations those before that step, of which the images' deviation is taken.
 */
export function knownRate(
  { net, optimizer, batchSize, weights }: Pick<Config, 'net' | 'optimizer' | 'batchSize' | 'weights'>,
  { layers, step }: Pick<EventOf<'activations'>, 'layers' | 'step'>,
): Warning | undefined {
  const { learningRate, momentum } = optimizer;
  if (step > 0 || weights !== null || !isOfKind(net)) return undefined;
  const sd = layers[0]?.sd ?? 0;
  // 1 - 0.9 is not quite a tenth.
  const effective = Number((learningRate / (1 - momentum)).toPrecision(12));
  const known = KNOWN.find(
    (each) =>
      each.table === net.table &&
      each.init === net.init &&
      net.width >= each.widths[0] &&
      net.width <= each.widths[1] &&
      each.momentum === momentum &&
      batchSize <= each.batches.at(-1)! &&
      sd >= each.imagesSd &&
      effective >= each.effective,
  );
  if (!known) return undefined;
  const { effective: bound, batches, learnt } = known;
  const given = `${learningRate} / (1 - momentum ${momentum}) is ${Number(effective.toPrecision(3))}`;
  const measured = `every training that was measured, with batches of ${batches.join(' and ')} images, blew up or died`;
  const lower = Number((learnt * (1 - momentum)).toPrecision(2));
  const message = `the learning rate is one that this net is known not to bear: ${given}, and from ${bound} on ${measured}; take a lower --lr (at ${lower}, which makes ${learnt}, all that were tried learnt)`;
  return { event: 'warning', kind: 'rate', step, value: effective, bound, message };
}
