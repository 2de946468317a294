/** Rates for tests, in round numbers. */
import { resolveConfig } from '../../src/config/config.js';
import { buildNet } from '../../src/model/net.js';
import { costsOf } from '../../src/plan/costs.js';
import { placesOf } from '../../src/plan/places.js';
import type { Planned } from '../../src/plan/plan.js';
import type { Rates } from '../../src/plan/rates.js';

/** A preset's settings, with others in their place. */
export function configOf(values: Record<string, unknown>) {
  const machine = { devices: ['CPU:0', 'CPU:1'], fashionMnist: true, now: new Date(0) };
  const noData = { values: { data: { source: 'embedded' } } };
  return resolveConfig([noData, { values }], machine).config;
}

/** Each layer takes as long as given, times how many of the two gradients it has. */
export function ratesOf(
  net: ReturnType<typeof buildNet>,
  batch: number,
  layerMs: number,
  other: Partial<Rates> = {},
): Rates {
  const layers = costsOf(net).map(({ key, kind, multiplyAdds, values, parameterBytes }) => ({
    ...{ key, kind, batch, multiplyAdds, values, forwardMs: layerMs, inputMs: layerMs },
    kernelMs: parameterBytes > 0 ? layerMs : 0,
  }));
  return {
    ...{ machine: 'a machine', date: '2026-01-01T00:00:00.000Z', assumed: false, device: 'CPU', slots: 2, layers },
    ...{ updateBytesPerMs: 1e12, stepMs: 0 },
    local: { msgpack: { ms: 0, bytesPerMs: 1e12 }, device: { ms: 0, bytesPerMs: 1e12 } },
    remote: {
      callMs: 0,
      callRoundTrips: 1,
      message: { ms: 0, bytesPerMs: 1e12, roundTrips: 0.5, relayedRoundTrips: 0.5 },
    },
    ...other,
  };
}

/** What is planned for lenet at batch 10, unless the test says otherwise. */
export function planned(
  devices: readonly string[],
  {
    values = {},
    rates,
    replicas = 1,
    ...rest
  }: { values?: Record<string, unknown>; rates?: Rates; replicas?: number } & Partial<Planned> = {},
): Planned {
  const config = configOf({ preset: 'lenet', batchSize: 10, ...values });
  return {
    ...{ config, replicas, link: { gbps: 1, roundTripMs: 2 } },
    places: placesOf(devices, replicas, config.placement === 'split' ? 2 : 1),
    rates: rates ?? ratesOf(buildNet(config.net), config.batchSize, 0),
    ...rest,
  };
}
