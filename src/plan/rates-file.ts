/** Rates in a file, and rates that are assumed of a machine that is not here. */
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import type { LayerTime, Rates } from './rates.js';

const positive = z.number().positive();
const notNegative = z.number().min(0);
const message = z.strictObject({ ms: notNegative, bytesPerMs: positive });
const KINDS = ['conv', 'dense', 'pool', 'activation', 'norm', 'mapNorm', 'dropout', 'gather'] as const;

const RATES = z.strictObject({
  machine: z.string(),
  date: z.string(),
  assumed: z.boolean(),
  device: z.enum(['CPU', 'GPU']),
  slots: z.int().positive(),
  layers: z.array(
    z.strictObject({
      ...{ key: z.string(), kind: z.enum(KINDS), batch: positive, multiplyAdds: notNegative, values: notNegative },
      ...{ forwardMs: notNegative, inputMs: notNegative, kernelMs: notNegative },
    }),
  ),
  updateBytesPerMs: positive,
  stepMs: notNegative,
  local: z.strictObject({ msgpack: message, device: message }),
  remote: z.strictObject({
    ...{ callMs: notNegative, callRoundTrips: notNegative },
    message: message.extend({ roundTrips: notNegative, relayedRoundTrips: notNegative }),
  }),
});

/** @param file its name, for the message. @throws ConfigError unless the value is rates. */
export function ratesFrom(value: unknown, file: string): Rates {
  const { success, data, error } = RATES.safeParse(value);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  const where = path.length === 0 ? '' : `${path.join('.')}: `;
  throw new ConfigError(
    `Cannot use the rates in ${file}: ${where}${message}, expected a file that plan --rates has written; name another file, or remove this one to measure again`,
  );
}

/** What a GPU is assumed to need besides computing; each is stated in the plan. */
const ASSUMED = {
  /** Bytes of memory traffic for each floating-point operation that it reaches. */
  bytesPerFlop: 0.1,
  stepMs: 2,
  local: { msgpack: { ms: 0.3, bytesPerMs: 6e6 }, device: { ms: 0.1, bytesPerMs: 12e6 } },
  remote: {
    ...{ callMs: 1, callRoundTrips: 4 },
    message: { ms: 0.5, bytesPerMs: 2e6, roundTrips: 0.5, relayedRoundTrips: 1 },
  },
} as const;

/** Rates of a GPU that reaches so many GFLOP/s in convolutions and dense layers. */
export function assumedRates(gflops: number, date: Date): Rates {
  const [work, perMs] = [1e9, gflops * 1e6];
  const products = (2 * work) / perMs;
  const bytesPerMs = perMs * ASSUMED.bytesPerFlop;
  const memory = (4 * work) / bytesPerMs;
  const of = (kind: LayerTime['kind'], forwardMs: number, inputMs: number, kernelMs: number): LayerTime => {
    return { key: '', kind, batch: 1, multiplyAdds: work, values: work, forwardMs, inputMs, kernelMs };
  };
  return {
    machine: `a GPU that reaches ${gflops} GFLOP/s and ${Number((gflops * ASSUMED.bytesPerFlop).toPrecision(3))} GB/s`,
    ...{ date: date.toISOString(), assumed: true, device: 'GPU', slots: 1 },
    layers: [of('conv', products, products, products), of('activation', memory, memory, 0)],
    // The norm reads a gradient; the update reads gradient, value and velocity, and writes the latter two.
    updateBytesPerMs: bytesPerMs / 6,
    ...{ stepMs: ASSUMED.stepMs, local: ASSUMED.local, remote: ASSUMED.remote },
  };
}
