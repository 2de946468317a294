/** The rates of a machine: how long layers take on a device, and what a step costs besides them. */
import type { LayerCost, LayerKind } from './costs.js';

/** The time of a layer of one tower, for a batch. */
export interface LayerTime {
  key: string;
  kind: LayerKind;
  /** Images in the batch. */
  batch: number;
  /** Of one image. */
  multiplyAdds: number;
  values: number;
  forwardMs: number;
  /** Of the gradient of what the layer reads. */
  inputMs: number;
  /** Of the gradients of kernel and bias. */
  kernelMs: number;
}

/** The parts of a {@link LayerTime}. */
export type LayerParts = Pick<LayerTime, 'forwardMs' | 'inputMs' | 'kernelMs'>;

/** A message takes `ms`, and its bytes at `bytesPerMs`. */
export interface MessageCost {
  ms: number;
  bytesPerMs: number;
}

export const TRANSPORTS = ['msgpack', 'device'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** What servers add to a step. */
export interface RemoteCost {
  /** Starting a function on a server and learning that it is done, besides the link's delay. A step has two calls. */
  callMs: number;
  /** How often that goes there and back: the server fetches each input. */
  callRoundTrips: number;
  /**
   * A tensor from one server to another, besides the link's delay; `bytesPerMs` of the runtime, however fast the link. With a
   * half a round trip the tensor is on its way as soon as it is computed; by way of the coordinator each half of the way may
   * take more (`relayedRoundTrips`), because the receiver asks only then.
   */
  message: MessageCost & { roundTrips: number; relayedRoundTrips: number };
}

export interface Rates {
  /** Where they are from: a machine, or an assumption. */
  machine: string;
  /** ISO date. */
  date: string;
  /** Whether they are assumed, not measured. */
  assumed: boolean;
  /** `CPU` or `GPU`. */
  device: string;
  /** How many towers a machine's CPU devices run at once at these rates. A GPU runs one. */
  slots: number;
  layers: readonly LayerTime[];
  /** Bytes of parameters of one tower that the norm of the gradients and the update take in a millisecond. */
  updateBytesPerMs: number;
  /** Of a step, besides layers, update and messages. */
  stepMs: number;
  /** Messages between the towers of one machine. */
  local: Record<Transport, MessageCost>;
  remote: RemoteCost;
}

/** Where the time of a layer comes from: it was measured, also of another number of images, or other layers of its kind were. */
export type TimeSource = 'measured' | 'scaled' | 'by kind';

/** The time of a layer for a batch; undefined if nothing like it was measured. */
export function timeOf(
  cost: LayerCost,
  batch: number,
  rates: Rates,
): (LayerParts & { source: TimeSource }) | undefined {
  const same = rates.layers.filter(({ key }) => key === cost.key);
  const exact = same.find((each) => each.batch === batch);
  if (exact) return { ...exact, source: 'measured' };
  const [nearest] = same.sort((a, b) => distance(a.batch, batch) - distance(b.batch, batch));
  if (nearest) return { ...scaled(nearest, batch / nearest.batch), source: 'scaled' };
  const work = (each: Pick<LayerTime, 'kind' | 'multiplyAdds' | 'values'>) =>
    each.kind === 'conv' || each.kind === 'dense' ? each.multiplyAdds : each.values;
  const isDense = cost.kind === 'conv' || cost.kind === 'dense';
  const like =
    rates.layers.filter(({ kind }) => kind === cost.kind).length > 0
      ? rates.layers.filter(({ kind }) => kind === cost.kind)
      : rates.layers.filter(({ kind }) => (kind === 'conv' || kind === 'dense') === isDense);
  if (like.length === 0) return undefined;
  const total = like.reduce((sum, each) => sum + work(each) * each.batch, 0);
  const all = { forwardMs: 0, inputMs: 0, kernelMs: 0 };
  for (const each of like) {
    all.forwardMs += each.forwardMs;
    all.inputMs += each.inputMs;
    all.kernelMs += each.kernelMs;
  }
  return { ...scaled(all, (work(cost) * batch) / total), source: 'by kind' };
}

function distance(a: number, b: number): number {
  return Math.abs(Math.log(a / b));
}

function scaled({ forwardMs, inputMs, kernelMs }: LayerParts, factor: number): LayerParts {
  return { forwardMs: forwardMs * factor, inputMs: inputMs * factor, kernelMs: kernelMs * factor };
}
