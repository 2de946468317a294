/**
 * TensorFlow's distributed runtime: a server that offers its devices to other processes by gRPC, and the context's
 * connection to such servers.
 *
 * Sources: `tensorflow/core/protobuf/{tensorflow_server,cluster}.proto`, `tensorflow/c/c_api_experimental.h` (release 2.21).
 */
import { bytesField, varintField } from './protobuf.js';

/** The job of the process that drives the others. TensorFlow's name for it without a cluster, so that names stay. */
export const COORDINATOR_JOB = 'localhost';
/** The job of the servers. */
export const SERVER_JOB = 'server';

/** The processes that one context uses. Addresses are `HOST:PORT`. */
export interface Cluster {
  /** The servers, in the order of their tasks. */
  servers: readonly string[];
  /** Where the servers reach this process: they fetch tensors from it. */
  coordinator: string;
  /** How long connecting may take. */
  timeoutMs: number;
  /** A server frees what this process holds there when it has not heard from it for so long. */
  keepAliveSeconds: number;
}

/** A `ServerDef`: `cluster` (1), `job_name` (2), `task_index` (3), `default_session_config` (4), `protocol` (5). */
export function encodeServerDef(
  jobs: Readonly<Record<string, readonly string[]>>,
  own: { job: string; task: number },
  config: Uint8Array = new Uint8Array(),
): Uint8Array {
  const text = (field: number, value: string) => bytesField(field, Buffer.from(value));
  // JobDef: `name` (1), `tasks` (2), a map whose entries have `key` (1) and `value` (2).
  const job = (name: string, tasks: readonly string[]) => [
    ...text(1, name),
    ...tasks.flatMap((address, i) => bytesField(2, [...varintField(1, i), ...text(2, address)])),
  ];
  const cluster = Object.entries(jobs).flatMap(([name, tasks]) => bytesField(1, job(name, tasks)));
  return Uint8Array.from([
    ...bytesField(1, cluster),
    ...text(2, own.job),
    ...varintField(3, own.task),
    ...bytesField(4, config),
    ...text(5, 'grpc'),
  ]);
}

export function encodeCluster({ servers, coordinator }: Cluster, config?: Uint8Array): Uint8Array {
  const jobs = { [COORDINATOR_JOB]: [coordinator], [SERVER_JOB]: servers };
  return encodeServerDef(jobs, { job: COORDINATOR_JOB, task: 0 }, config);
}
