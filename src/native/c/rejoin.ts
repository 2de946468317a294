/** Connects the process's context to its servers again, after one of them was lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NativeError } from '../../errors.js';
import { RunningClock } from '../../running-time.js';
import { callAsync } from '../install/koffi.js';
import { COORDINATOR_JOB, encodeCluster, encodeServerDef } from './cluster.js';
import { type Context, type ContextOptions, configOf, openContext } from './context.js';
import { Code, check } from './status.js';

/** After a connection failed, gRPC makes the next one only a while later. */
const AGAIN_MS = 200;

/**
 * Removes the context's servers and adds them again. Each frees what this process held there, and what had to do with the
 * server that was lost is forgotten. Nothing may use their devices meanwhile. This thread's event loop goes on.
 * @param options those of the context.
 * @throws NativeError if a server cannot be used within the cluster's timeout, and as {@link openContext}.
 */
export async function rejoinCluster(options: ContextOptions): Promise<void> {
  const { cluster } = options;
  if (!cluster) throw new Error('the context has no servers');
  const context = openContext(options);
  const config = configOf(options);
  const alone = encodeServerDef(
    { [COORDINATOR_JOB]: [cluster.coordinator] },
    { job: COORDINATOR_JOB, task: 0 },
    config,
  );
  const all = encodeCluster(cluster, config);
  const { keepAliveSeconds, timeoutMs } = cluster;
  const clock = new RunningClock();
  // A server that was lost cannot be told; TensorFlow logs that.
  await update(context, alone, keepAliveSeconds, timeoutMs);
  for (;;) {
    const failure = await update(context, all, keepAliveSeconds, timeoutMs);
    if (!failure) return;
    if (clock.now() >= timeoutMs) throw failure;
    await sleep(AGAIN_MS);
  }
}

async function update(
  { c, address }: Context,
  proto: Uint8Array,
  keepAliveSeconds: number,
  timeoutMs: number,
): Promise<NativeError | undefined> {
  const status = c.TF_NewStatus();
  const call = c.TFE_ContextUpdateServerDefWithTimeout;
  try {
    await callAsync(call, address, keepAliveSeconds, proto, proto.length, timeoutMs, status);
    check({ c, status }, 'connect to the servers again');
    return undefined;
  } catch (error) {
    if (error instanceof NativeError) return error;
    throw error;
  } finally {
    c.TF_DeleteStatus(status);
  }
}

/**
 * The number that each server had drawn when the context joined it, by task. A server that was started again has another one.
 */
export function serverIncarnations({ c, address, status }: Context): Map<number, bigint> {
  const list = c.TFE_ContextListDevices(address, status);
  check({ c, status }, 'list the devices');
  const found = new Map<number, bigint>();
  try {
    for (let i = 0; i < c.TF_DeviceListCount(list); i++) {
      const [, task] =
        /^\/job:server\/replica:0\/task:(\d+)\/device:CPU:0$/.exec(c.TF_DeviceListName(list, i, status)) ?? [];
      if (task !== undefined) found.set(Number(task), BigInt(c.TF_DeviceListIncarnation(list, i, status)));
    }
    check({ c, status }, 'ask for a device');
    return found;
  } finally {
    c.TF_DeleteDeviceList(list);
  }
}

/** Whether an error of TensorFlow's says that a server cannot be reached, or has forgotten what this process held there. */
export function isServerTrouble({ code, message }: NativeError): boolean {
  return code === Code.UNAVAILABLE || FORGOTTEN.test(message);
}

const FORGOTTEN =
  /context_id|context id|EagerContext .*(exist|expired)|Session .*(does not exist|is not found)|Socket closed|Connection (refused|reset)|failed to connect/i;
