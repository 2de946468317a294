/** The cluster of servers that this process drives. A process has one, because its TensorFlow context has one. */
import type { Cluster } from '../native/c/cluster.js';

const TIMEOUT_MS = 10_000;
const KEEP_ALIVE_SECONDS = 60;

let current: Cluster | undefined;

/** The process's cluster: the first call decides. @param coordinator `HOST:PORT` where the servers reach this process. */
export function clusterFor(servers: readonly string[], coordinator: string): Cluster {
  current ??= { servers, coordinator, timeoutMs: TIMEOUT_MS, keepAliveSeconds: KEEP_ALIVE_SECONDS };
  return current;
}
