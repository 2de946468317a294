/** Learning rates that a net is known not to bear. Every number was measured: docs/warnings.md has the runs. */
import type { Config } from '../config/config.js';
import type { EventOf } from '../log.js';
import type { TableName } from '../model/tables.js';
import type { Warning } from './warnings.js';

/** What every training came to grief with that was tried, and of what kind they were. */
interface Known {
  tables: readonly TableName[];
  init: Config['net']['init'];
  /** Without it any up to 0.9; 0 and 0.9 were tried. */
  momentum?: number;
  /** From here on: the rate / (1 - momentum), which is what a steady gradient is followed with. */
  effective: number;
  /** A larger batch bears more. */
  batchSize: number;
  /** Images of a smaller deviation bear more. */
  imagesSd: number;
  /** At that all learnt with which it was tried. */
  learnt: number;
}

const KNOWN: readonly Known[] = [
  { tables: ['original'], init: 'he', momentum: 0, effective: 0.6, batchSize: 64, imagesSd: 0.9, learnt: 0.4 },
  { tables: ['original', 'paper'], init: 'he', effective: 1.6, batchSize: 256, imagesSd: 0.9, learnt: 0.4 },
  { tables: ['tutorial'], init: 'xavier', momentum: 0, effective: 0.4, batchSize: 128, imagesSd: 0.3, learnt: 0.2 },
  { tables: ['tutorial'], init: 'xavier', effective: 1.6, batchSize: 128, imagesSd: 0.3, learnt: 0.2 },
];

/**
 * Before the first step, of nets that begin with their initial values, with ReLUs.
 * @param activations those before that step, of which the images' deviation is taken.
 */
export function knownRate(
  { net, optimizer, batchSize, weights }: Pick<Config, 'net' | 'optimizer' | 'batchSize' | 'weights'>,
  { layers, step }: Pick<EventOf<'activations'>, 'layers' | 'step'>,
): Warning | undefined {
  const { learningRate, momentum } = optimizer;
  if (step > 0 || weights !== null || net.norm === false || (net.activation ?? 'relu') !== 'relu') return undefined;
  const sd = layers[0]?.sd ?? 0;
  // 1 - 0.9 is not quite a tenth.
  const effective = Number((learningRate / (1 - momentum)).toPrecision(12));
  const known = KNOWN.find(
    (each) =>
      each.tables.includes(net.table) &&
      each.init === net.init &&
      (each.momentum === undefined ? momentum <= 0.9 : momentum === each.momentum) &&
      batchSize <= each.batchSize &&
      sd >= each.imagesSd &&
      effective >= each.effective,
  );
  if (!known) return undefined;
  const bound = known.effective;
  const lower = Number((known.learnt * (1 - momentum)).toPrecision(2));
  const given = `${learningRate} / (1 - momentum ${momentum}) is ${Number(effective.toPrecision(3))}`;
  const message = `the learning rate is one that this net is known not to bear: ${given}, and from ${bound} on every training that was measured blew up or died, with batches of up to ${known.batchSize} images; take a lower --lr (at ${lower}, which makes ${known.learnt}, all that were tried learnt)`;
  return { event: 'warning', kind: 'rate', step, value: effective, bound, message };
}
