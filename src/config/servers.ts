/** The servers whose devices a run uses, and the names of their devices. */
import { remoteDevice } from '../address.js';

export { remoteDevice };

/** The name of a device without the address of its server. */
export function bareDevice(name: string): string {
  return remoteDevice(name)?.device ?? name;
}

/**
 * The servers to connect to, each once: those of the devices, or without devices those that the settings name.
 * @param named `servers`.
 */
export function serversOf(named: readonly string[], devices: readonly string[]): string[] {
  const all =
    devices.length > 0
      ? devices.flatMap((each) => remoteDevice(each)?.server ?? [])
      : named.map((each) => each.toLowerCase());
  return [...new Set(all)];
}

/**
 * The devices of servers to use if none are named: the first GPU of each server (or its CPU) in the order of the servers, then
 * the second of each, and so on; from the beginning again if there are too few.
 * @param devices those of all servers, by their names in the settings.
 */
export function serverDevices(devices: readonly string[], count: number): string[] {
  const remote = devices.filter((name) => remoteDevice(name) !== undefined);
  const servers = serversOf([], remote);
  const usable = servers.map((server) => {
    const names = remote.filter((name) => remoteDevice(name)!.server === server);
    const gpus = names.filter((name) => bareDevice(name).startsWith('GPU:'));
    return gpus.length > 0 ? gpus : names.slice(0, 1);
  });
  const rounds = Math.max(0, ...usable.map(({ length }) => length));
  const order = Array.from({ length: rounds }, (_, i) => usable.flatMap((names) => names[i] ?? [])).flat();
  return Array.from({ length: order.length > 0 ? count : 0 }, (_, i) => order[i % order.length]!);
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000 };

/** The milliseconds of a duration in the settings, such as `10m`. */
export function durationMs(duration: string): number {
  return Number.parseFloat(duration) * UNIT_MS[duration.at(-1) as keyof typeof UNIT_MS];
}
