/** A plan: the settings of a run, where its towers are, and the rates of machine and network. */
import type { Config } from '../config/config.js';
import { imageValueBytes } from '../config/crossing.js';
import { buildNet } from '../model/net.js';
import type { Place } from './places.js';
import { type Plan, predict } from './predict.js';
import type { Rates } from './rates.js';

const BYTES_PER_MS_OF_GBPS = 1e9 / 8 / 1000;

export interface Planned {
  config: Pick<Config, 'net' | 'batchSize' | 'placement' | 'exchange' | 'optimizer' | 'average' | 'data'>;
  replicas: number;
  /** Of each replica's towers; see `placesOf`. */
  places: readonly (readonly Place[])[];
  /** Between machines; undefined if all devices are on one. */
  link: { gbps: number; roundTripMs: number; frameBytes?: number } | undefined;
  rates: Rates;
  /** See `StepSettings`. */
  splitDense?: boolean;
  sharedProcessors?: boolean;
}

/** The prediction. */
export function planOf({ config, places, link, rates, splitDense, sharedProcessors }: Planned): Plan {
  const { net, batchSize, exchange, optimizer, average, data } = config;
  return predict({
    ...{ net: buildNet(net), batchSize, replicas: places, rates, average },
    ...(splitDense && { splitDense }),
    ...(sharedProcessors && { sharedProcessors }),
    ...{ transport: exchange.transport, valueBytes: exchange.dtype === 'float16' ? 2 : 4 },
    imageValueBytes: imageValueBytes(data),
    hasMomentum: optimizer.momentum > 0,
    link: {
      bytesPerMs: link ? link.gbps * BYTES_PER_MS_OF_GBPS : Number.MAX_VALUE,
      delayMs: (link?.roundTripMs ?? 0) / 2,
      frameBytes: link?.frameBytes ?? 0,
    },
  });
}
