/** Learning rates that a net is known not to bear. Every number was measured: docs/warnings.md has the runs. */
import type { Config } from '../config/config.js';
import type { EventOf } from '../log.js';
import type { TableName } from '../model/tables.js';
import type { Warning } from './warnings.js';

/** What every training came to grief with that was tried, and of what kind they were. */
interface Known {
  tables: readonly TableName[];
  init: Config['net']['init'];
  /** From here on: the rate / (1 - momentum), which is what a steady gradient is followed with. */
  effective: number;
  /** A larger batch bears more. */
  batchSize: number;
  /** Images of a smaller deviation bear more. */
  imagesSd: number;
  /** The highest that was borne. */
  borne: number;
}

const KNOWN: readonly Known[] = [
  { tables: ['original', 'paper'], init: 'he', effective: 1.6, batchSize: 256, imagesSd: 0.9, borne: 1.2 },
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
  if (step > 0 || weights !== null || (net.activation ?? 'relu') !== 'relu') return undefined;
  const sd = layers[0]?.sd ?? 0;
  const effective = learningRate / (1 - momentum);
  const known = KNOWN.find(
    (each) =>
      each.tables.includes(net.table) &&
      each.init === net.init &&
      batchSize <= each.batchSize &&
      sd >= each.imagesSd &&
      effective >= each.effective * (1 - 1e-9),
  );
  if (!known) return undefined;
  const bound = known.effective;
  const lower = Number((known.borne * (1 - momentum)).toPrecision(2));
  const message = `the learning rate is one at which this net blew up or died in every training that was measured: ${learningRate} / (1 - momentum ${momentum}) is ${Number(effective.toPrecision(3))}, and that was so from ${bound} on with batches of up to ${known.batchSize} images; none bore more than ${known.borne}, which is --lr ${lower} here, and smaller batches bear less`;
  return { event: 'warning', kind: 'rate', step, value: effective, bound, message };
}
