/** Where the towers of a plan are: on which machine, and on which device of it. */
import { isLoopback, parseAddress, remoteDevice } from '../address.js';
import { shortName } from '../config/devices.js';
import { ConfigError, truncate } from '../errors.js';

/** A tower's device. */
export interface Place {
  /** As the user named it. */
  name: string;
  /** The machine; {@link COORDINATOR} is the one on which the command runs. */
  machine: string;
  /** `CPU`, `GPU`, … */
  type: string;
  /** `GPU:0`; both halves of a card are the same device. */
  device: string;
}

/** The machine of the process that is started. */
export const COORDINATOR = 'this machine';

/** `GPU:0`, `GPU:0/1`, or `HOST/GPU:0`, since a plan needs no port. */
const NAME = /^(?:(\[.+\]|[^/:]+)\/)?(?:device:)?([a-z_]+):(\d+)(?:\/[01])?$/i;

/** @throws ConfigError if the name is not one of a device. */
export function placeOf(name: string): Place {
  const short = String(shortName(name));
  const remote = remoteDevice(short);
  const [, named, type, number] = NAME.exec(remote?.device ?? short) ?? [];
  if (type === undefined) {
    throw new ConfigError(
      `Cannot plan for the device ${truncate(JSON.stringify(name))}: expected a device such as GPU:0, or one of a server such as 10.0.0.2:2222/GPU:0; choose with --devices`,
    );
  }
  const host = remote ? parseAddress(remote.server, "server's address").host : named;
  const machine = host?.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  const isHere = machine === undefined || isLoopback(machine);
  const kind = type.toUpperCase();
  return { name, machine: isHere ? COORDINATOR : machine, type: kind, device: `${kind}:${number}` };
}

/**
 * Gives each tower of each replica a device.
 * @param devices as many as one replica has towers: then every further replica is like the first, on machines of its own.
 * Or one for each tower, those of a replica side by side.
 * @returns for each replica, the places of its towers.
 * @throws ConfigError for another number of devices.
 */
export function placesOf(devices: readonly string[], replicas: number, towers: 1 | 2): Place[][] {
  const places = devices.map(placeOf);
  if (places.length === towers) {
    return Array.from({ length: replicas }, (_, replica) =>
      places.map((place) =>
        replica === 0 ? place : { ...place, machine: `${place.machine}, replica ${replica + 1}` },
      ),
    );
  }
  if (places.length !== towers * replicas) {
    const counts = [...new Set([towers, towers * replicas])].join(' or ');
    throw new ConfigError(
      `Cannot plan for ${truncate(devices.join(','))}: expected ${counts} devices; name one for each tower with --devices`,
    );
  }
  return Array.from({ length: replicas }, (_, replica) => places.slice(replica * towers, (replica + 1) * towers));
}
