/** A TensorFlow server: other processes use this one's devices by gRPC. */
import { SetupError, SplitError } from '../../errors.js';
import { usableCores } from '../../limits.js';
import { encodeServerDef } from './cluster.js';
import { type Device, devicesIn, encodeConfig, threadsOf } from './context.js';
import { libc } from './copy.js';
import { exitAtOnce } from './exit.js';
import { type Allowed, type Restricted, restrictListener } from './listener-filter.js';
import { openLibrary } from './load.js';
import { type Calls, check, reasonIn } from './status.js';

/** TensorFlow has this long to accept the connections that came before the port was restricted, which are then ended. */
const ACCEPT_MS = 500;

export interface ServerOptions {
  /** 0 for any free one. */
  port: number;
  /** To which addresses of this machine others may connect, and from where. */
  allowed: Allowed;
  /** Threads that one op may use. Default `TF_NUM_INTRAOP_THREADS`, or one for each usable core. */
  intraOpThreads?: number | undefined;
}

/** A server that runs until the process ends: TensorFlow cannot end one. */
export interface Server {
  port: number;
  /** Named `CPU:0`, as in the process's own context. */
  devices: readonly Device[];
  /** TensorFlow's version. */
  version: string;
  intraOpThreads: number;
  /** Restricts the port again, which ends connections that came before it was restricted. */
  restrict(): Restricted;
  /** Ends the process at once. At a natural end its threads, which may be computing, would use what is freed already. */
  exit(exitCode: number): void;
}

/**
 * The job under which a server names its devices to clients that ask for them (`GetStatus`), whatever job a coordinator gives
 * it: it says that this is a server of ours, and TensorFlow's version. @param version such as `2.21.0`.
 */
export function standaloneJob(version: string): string {
  return `alexnet_split_tf_${version.replace(/\W/g, '_')}`;
}

/** The version of TensorFlow in the full name of such a server's device; undefined for another server's. */
export function versionInDevice(name: string): string | undefined {
  return /^\/job:alexnet_split_tf_(\w+)\//.exec(name)?.[1]?.replaceAll('_', '.');
}

/**
 * Starts a server, the only one of the process. It answers no one before its port is restricted to what is allowed.
 * @throws SetupError without a library, or if the system cannot restrict the port; SplitError if TensorFlow cannot open it.
 */
export function startServer({ port: asked, allowed, intraOpThreads: given }: ServerOptions): Server {
  // TensorFlow also calls it an error when a coordinator ends and closes its queues; the coordinator gets all errors itself.
  libc.setenv('TF_CPP_MIN_LOG_LEVEL', '3', 0);
  const library = openLibrary();
  const { c } = library;
  const calls: Calls = { ...library, status: c.TF_NewStatus() };
  const version = c.TF_Version();
  const intraOpThreads = given || Number(libc.getenv('TF_NUM_INTRAOP_THREADS')) || usableCores();
  const { interOpThreads } = threadsOf({}, (name) => Boolean(libc.getenv(name)));
  const job = standaloneJob(version);
  const config = encodeConfig({ intraOpThreads, interOpThreads });
  // TensorFlow takes the port alone from the address, and listens on all addresses of the machine.
  const proto = encodeServerDef({ [job]: [`127.0.0.1:${asked}`] }, { job, task: 0 }, config);
  const server = c.TF_NewServer(proto, proto.length, calls.status);
  if (c.TF_GetCode(calls.status) !== 0) {
    throw new SplitError(
      `Cannot serve on port ${asked}: TensorFlow says ${reasonIn(c.TF_Message(calls.status))}; choose another port with --address`,
    );
  }
  const target = c.TF_ServerTarget(server);
  const port = Number(target.slice(target.lastIndexOf(':') + 1));
  const restrict = () => restrictListener(port, allowed);
  requireRestricted(restrict(), port, allowed);
  // TensorFlow accepts connections from now on, and answers after its start.
  const until = performance.now() + ACCEPT_MS;
  while (restrict().waiting > 0 && performance.now() < until);
  c.TF_ServerStart(server, calls.status);
  check(calls, 'start the server');
  return { port, devices: devicesOf(calls, target), version, intraOpThreads, restrict, exit: exitAtOnce };
}

function requireRestricted({ listeners }: Restricted, port: number, { addresses, sources }: Allowed): void {
  if (listeners > 0 || (!sources && addresses.some((each) => each === '0.0.0.0' || each === '::'))) return;
  throw new SetupError(
    `Cannot serve on port ${port} of ${addresses.join(', ')} alone: on this system (${process.platform}) the port cannot be restricted, expected Linux; use --address 0.0.0.0:${port} behind a firewall`,
  );
}

/** Asks the server itself, without the network: a session's target in the same process is called directly. */
function devicesOf(calls: Calls, target: string): Device[] {
  const { c, status } = calls;
  const [options, graph] = [c.TF_NewSessionOptions(), c.TF_NewGraph()];
  try {
    c.TF_SetTarget(options, target);
    const session = c.TF_NewSession(graph, options, status);
    check(calls, 'open a session on the server');
    const devices = devicesIn(calls, c.TF_SessionListDevices(session, status));
    c.TF_CloseSession(session, status);
    c.TF_DeleteSession(session, status);
    return devices.map(({ name, type, ...device }) => ({
      ...device,
      name: name.replace(/^.*\/device:/, ''),
      type,
      memory: type === 'CPU' ? 'host' : 'gpu',
    }));
  } finally {
    c.TF_DeleteGraph(graph);
    c.TF_DeleteSessionOptions(options);
  }
}
