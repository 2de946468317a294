/** Stand-ins for the machine and for what a user asked. */
import type { Machine } from '../../src/config/config.js';
import type { ConfigLayer } from '../../src/config/layers.js';

/** A machine with those devices, at 04:05:06 on 3 February 2026, local time. */
export function machineWith(...devices: string[]): Machine {
  return { devices, fashionMnist: false, now: new Date(2026, 1, 3, 4, 5, 6) };
}

/** What the flags would give. */
export function flags(values: Record<string, unknown>): ConfigLayer {
  return { values };
}
