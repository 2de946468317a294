/** The servers whose devices a run uses, and the names of their devices. */

/** `HOST:PORT/GPU:0`; an IPv6 host is in brackets. */
const REMOTE = /^(.+:\d{1,5})\/([a-z_]+:\d+)$/i;
/** TensorFlow's name: `/job:server/replica:0/task:1/device:GPU:0`. */
const FULL = /^\/job:server\/replica:0\/task:(\d+)\/device:([A-Z_]+:\d+)$/;

/** The parts of a server's device in the settings' spelling; undefined for a device of this process. */
export function remoteDevice(name: string): { server: string; device: string } | undefined {
  const [, server, device] = REMOTE.exec(name) ?? [];
  return server === undefined ? undefined : { server: server.toLowerCase(), device: device!.toUpperCase() };
}

/** The servers that the settings name, each once: those of `servers`, then those of `devices`. */
export function serversOf(named: readonly string[], devices: readonly string[]): string[] {
  const all = [...named.map((each) => each.toLowerCase()), ...devices.map((each) => remoteDevice(each)?.server)];
  return [...new Set(all.filter((each) => each !== undefined))];
}

/** TensorFlow's name of a server's device, which has the number of the server's task. */
export function taskDevice(name: string, servers: readonly string[]): string {
  const remote = remoteDevice(name);
  if (!remote) return name;
  return `/job:server/replica:0/task:${servers.indexOf(remote.server)}/device:${remote.device}`;
}

/** The inverse: the settings' name. */
export function addressedDevice(name: string, servers: readonly string[]): string {
  const [, task, device] = FULL.exec(name) ?? [];
  return task === undefined ? name : `${servers[Number(task)]}/${device}`;
}
