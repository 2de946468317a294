/** The layers of a net with their times. */
import type { Net } from '../model/net.js';
import { costsOf, type LayerCost } from './costs.js';
import { type LayerParts, type Rates, type TimeSource, timeOf } from './rates.js';

/** The net's layers and their times. */
export type TimedLayer = LayerCost & LayerParts;

/** @throws RangeError if the rates say nothing about a layer. */
export function timedLayers(net: Net, batch: number, rates: Rates): { layers: TimedLayer[]; sources: Set<TimeSource> } {
  const sources = new Set<TimeSource>();
  const layers = costsOf(net).map((cost): TimedLayer => {
    const time = timeOf(cost, batch, rates);
    if (!time) throw new RangeError(`the rates have no time for the layer ${cost.name}`);
    sources.add(time.source);
    const { forwardMs, inputMs, kernelMs } = time;
    return { ...cost, forwardMs, inputMs: cost.hasInputGradient ? inputMs : 0, kernelMs };
  });
  return { layers, sources };
}
