/**
 * The process's only TensorFlow context. TensorFlow refuses two sets of devices in one process, and threads can only pass
 * tensors to each other within one context. So the first thread makes it, and all others attach to its address.
 */
import { remoteDevice } from '../../address.js';
import { NativeError } from '../../errors.js';
import { coreLimit } from '../../limits.js';
import { type Cluster, encodeCluster, SERVER_JOB } from './cluster.js';
import { libc } from './copy.js';
import { type Library, openLibrary } from './load.js';
import { oneAtATime } from './process-wide.js';
import { bytesField, varintField } from './protobuf.js';
import type { Pointer } from './signatures.js';
import { type Calls, Code, check } from './status.js';

/** How to make the context. Only the first call in the process has an effect: see {@link openContext}. */
export interface ContextOptions {
  /** Number of logical CPU devices, `CPU:0` … `CPU:n-1`, which share one pool of threads. Default 2. */
  cpus?: number;
  /** Threads that one op may use; 0 is one for each core. `TF_NUM_INTRAOP_THREADS` overrides it. */
  intraOpThreads?: number;
  /** Threads in which ops run; 0 is one for each core. `TF_NUM_INTEROP_THREADS` overrides it. */
  interOpThreads?: number;
  /** Splits a GPU into logical devices with this many MiB each, which TensorFlow numbers in its place. */
  virtualGpuMiB?: readonly number[];
  /** The number of that GPU before the split. Default 0. */
  virtualGpuCard?: number;
  /** Servers whose devices the context has too. */
  cluster?: Cluster | undefined;
}

/** A device as TensorFlow reports it. */
export interface Device {
  /** `CPU:0`; for a server's device `10.0.0.2:2222/GPU:0`, because two processes may each have a `GPU:0`. */
  name: string;
  /** TensorFlow's full name, `/job:localhost/replica:0/task:0/device:CPU:0`. */
  fullName: string;
  /** TensorFlow's type, `CPU` or `GPU`, which decides which kernels there are. */
  type: string;
  /** Where its tensors are: in this process's memory, on a GPU, or in another process. */
  memory: 'host' | 'gpu' | 'remote';
  /** Bytes that TensorFlow may use on it. */
  memoryBytes: number;
}

const PLACEMENT_SILENT = 2; // TFE_DEVICE_PLACEMENT_SILENT: an input on another device is copied to the op's

export interface Context extends Library, Calls {
  address: Pointer;
  devices: readonly Device[];
}

let current: Context | undefined;

/**
 * The process's context. The first call in the process makes it; every later call, in any thread, attaches to it. It lives
 * until the process ends.
 * @throws SetupError without a library; NativeError if TensorFlow cannot make a context, or another thread does not finish.
 */
export function openContext(options: ContextOptions = {}): Context {
  if (current) return current;
  const library = openLibrary({ usesServers: options.cluster !== undefined });
  const calls = { ...library, status: library.c.TF_NewStatus(), servers: options.cluster?.servers };
  try {
    const address = oneAtATime('make the TensorFlow context', (words) => {
      if (words.context === 0n) words.context = newContext(calls, options);
      return words.context;
    });
    current = { ...calls, address, devices: readDevices(calls, address, options.cluster?.servers) };
    return current;
  } catch (error) {
    calls.c.TF_DeleteStatus(calls.status);
    throw error;
  }
}

/** Every device of the process's context, in TensorFlow's order. Makes the context if there is none. */
export function listDevices(options: ContextOptions = {}): readonly Device[] {
  return openContext(options).devices;
}

/**
 * Finds a device by `GPU:1`, `/device:GPU:1`, `10.0.0.2:2222/GPU:1` or TensorFlow's full name, in any case.
 * @throws NativeError (NOT_FOUND).
 */
export function findDevice(context: Context, name: string): Device {
  const short = shortName(name);
  const device = context.devices.find((each) => each.name === short || each.fullName === name);
  if (device) return device;
  const have = context.devices.map((each) => each.name).join(', ');
  const hint = short.startsWith('GPU') ? '; `alexnet-split doctor` says why this one is missing' : '';
  throw new NativeError(
    `Cannot use the device ${name}: TensorFlow has ${have} here; choose from these${hint}`,
    Code.NOT_FOUND,
  );
}

/** The `ConfigProto` of a context. */
export function configOf(options: ContextOptions): Uint8Array {
  return encodeConfig({ ...options, ...threadsOf(options, (name) => Boolean(libc.getenv(name))) });
}

function newContext(calls: Calls, options: ContextOptions): Pointer {
  const { c, status } = calls;
  const config = configOf(options);
  const contextOptions = c.TFE_NewContextOptions();
  try {
    c.TFE_ContextOptionsSetConfig(contextOptions, config, config.length, status);
    check(calls, 'configure the TensorFlow context');
    c.TFE_ContextOptionsSetDevicePlacementPolicy(contextOptions, PLACEMENT_SILENT);
    const context = c.TFE_NewContext(contextOptions, status);
    check(calls, 'make the TensorFlow context');
    if (options.cluster) joinCluster(calls, context, options.cluster, config);
    return context;
  } finally {
    c.TFE_DeleteContextOptions(contextOptions);
  }
}

function joinCluster(calls: Calls, context: Pointer, cluster: Cluster, config: Uint8Array): void {
  const { c, status } = calls;
  const proto = encodeCluster(cluster, config);
  const { keepAliveSeconds, timeoutMs } = cluster;
  c.TFE_ContextSetServerDefWithTimeout(context, keepAliveSeconds, proto, proto.length, timeoutMs, status, false);
  check(calls, 'connect to the servers');
}

/**
 * The numbers of threads to configure. With 0, TensorFlow would use all cores of the machine, even if a quota leaves this
 * process fewer, so the limit takes its place. TensorFlow reads its variables only if the configuration has no number.
 */
export function threadsOf(
  { intraOpThreads = 0, interOpThreads = 0 }: ContextOptions,
  isSet: (variable: string) => boolean,
  limit = coreLimit() ?? 0,
): Required<Pick<ContextOptions, 'intraOpThreads' | 'interOpThreads'>> {
  return {
    intraOpThreads: isSet('TF_NUM_INTRAOP_THREADS') ? 0 : intraOpThreads || limit,
    interOpThreads: isSet('TF_NUM_INTEROP_THREADS') ? 0 : interOpThreads || limit,
  };
}

/** @param servers in the order of their tasks. */
function readDevices(calls: Calls, context: Pointer, servers: readonly string[] = []): Device[] {
  return devicesIn(calls, calls.c.TFE_ContextListDevices(context, calls.status), servers);
}

/**
 * The devices of a `TF_DeviceList`, which is deleted.
 * @param servers in the order of their tasks.
 * @throws NativeError if the call that made the list has failed.
 */
export function devicesIn(calls: Calls, list: Pointer, servers: readonly string[] = []): Device[] {
  const { c, status } = calls;
  check(calls, 'list the devices');
  const checked = <T>(value: T): T => {
    check(calls, 'ask for a device');
    return value;
  };
  try {
    return Array.from({ length: c.TF_DeviceListCount(list) }, (_, i) => {
      const fullName = checked(c.TF_DeviceListName(list, i, status));
      const type = checked(c.TF_DeviceListType(list, i, status));
      const memoryBytes = Number(checked(c.TF_DeviceListMemoryBytes(list, i, status)));
      const isRemote = shortName(fullName).startsWith('/');
      const memory = isRemote ? 'remote' : type === 'CPU' ? 'host' : 'gpu';
      return { name: addressedName(fullName, servers), fullName, type, memory, memoryBytes };
    });
  } finally {
    c.TF_DeleteDeviceList(list);
  }
}

/** `10.0.0.2:2222/GPU:0` for the full name of a server's device, else as {@link shortName}. */
function addressedName(fullName: string, servers: readonly string[]): string {
  const [, task, device] = new RegExp(`^/job:${SERVER_JOB}/replica:0/task:(\\d+)/device:(.*)$`).exec(fullName) ?? [];
  const server = task === undefined ? undefined : servers[Number(task)];
  return server === undefined ? shortName(fullName) : `${server}/${device}`;
}

/**
 * `CPU:0` for any spelling of a device of this process. For another process's device the address, or the job and the task,
 * stay: `10.0.0.2:2222/GPU:0`, `/job:tower/replica:0/task:1/device:GPU:0`.
 */
export function shortName(name: string): string {
  const remote = remoteDevice(name);
  if (remote) return `${remote.server}/${remote.device}`;
  const [, task, kind, number] =
    /^(\/job:\w+\/replica:\d+\/task:\d+)?\/?(?:device:)?([a-z_]+):(\d+)$/i.exec(name.trim()) ?? [];
  if (!kind) return name;
  const device = `${kind.toUpperCase()}:${number}`;
  return task === undefined || /^\/job:localhost\//i.test(task) ? device : `${task.toLowerCase()}/device:${device}`;
}

/**
 * A `ConfigProto` (`tensorflow/core/protobuf/config.proto`): `device_count` (1), `intra_op_parallelism_threads` (2),
 * `inter_op_parallelism_threads` (5), `gpu_options` (6) with `allow_growth` (4) and `experimental` (9) . `virtual_devices`
 * (1) . `memory_limit_mb` (1): one for each GPU; an empty one leaves the GPU whole.
 */
export function encodeConfig(options: ContextOptions): Uint8Array {
  const { cpus = 2, intraOpThreads = 0, interOpThreads = 0, virtualGpuMiB, virtualGpuCard = 0 } = options;
  const gpu = [...varintField(4, 1)];
  if (virtualGpuMiB) {
    const limits = new Uint8Array(Float32Array.from(virtualGpuMiB).buffer);
    const whole = Array.from({ length: virtualGpuCard }, () => bytesField(1, [])).flat();
    gpu.push(...bytesField(9, [...whole, ...bytesField(1, bytesField(1, limits))]));
  }
  return Uint8Array.from([
    ...bytesField(1, [...bytesField(1, Buffer.from('CPU')), ...varintField(2, cpus)]),
    ...(intraOpThreads > 0 ? varintField(2, intraOpThreads) : []),
    ...(interOpThreads > 0 ? varintField(5, interOpThreads) : []),
    ...bytesField(6, gpu),
  ]);
}
