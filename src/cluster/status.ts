/**
 * What a server says about itself by gRPC, without a connection of TensorFlow's.
 *
 * Source: `tensorflow/core/protobuf/worker.proto` and `device_attributes.proto` (release 2.21).
 */
import protobuf from 'google-protobuf';
import { ServerError } from '../errors.js';

export interface ServerStatus {
  /** `HOST:PORT`. */
  address: string;
  /** The version of TensorFlow, such as `2.21.0`. */
  tensorflow: string;
  /** The start of the server: another number after each. */
  incarnation: string;
  devices: readonly ServerDevice[];
}

export interface ServerDevice {
  /** `GPU:0` */
  name: string;
  /** `CPU` or `GPU`. */
  type: string;
  /** Bytes that TensorFlow may use. */
  memoryBytes: number;
  /** The card, in words; empty for a CPU. */
  description: string;
}

/**
 * Asks a server for its devices.
 * @param address `HOST:PORT`.
 * @throws ServerError if it does not answer in time, or is no server of this program.
 */
export async function serverStatus(address: string, timeoutMs: number): Promise<ServerStatus> {
  const found = readStatus(await call(address, timeoutMs));
  const { versionInDevice } = await import('../native/c/server.js');
  const version = found[0] && versionInDevice(found[0].fullName);
  if (version === undefined) throw noServer(address, 'what listens there is no server of alexnet-split');
  return {
    ...{ address, tensorflow: version, incarnation: found[0]!.incarnation },
    devices: found.map(({ fullName, type, memoryBytes, description }) => {
      return { name: fullName.replace(/^.*\/device:/, ''), type, memoryBytes, description };
    }),
  };
}

function noServer(address: string, reason: string): ServerError {
  const remedy = 'start one there with `alexnet-split serve`, or correct the address';
  return new ServerError(`Cannot use the server ${address}: ${reason}; ${remedy}`, address);
}

async function call(address: string, timeoutMs: number): Promise<Uint8Array> {
  const { default: grpc } = await import('@grpc/grpc-js'); // a local run does without
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1, // a shared one tries a server that was lost ever more rarely
  });
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest<Uint8Array, Uint8Array>(
        '/tensorflow.WorkerService/GetStatus',
        (request) => Buffer.from(request),
        (reply) => reply,
        new Uint8Array(), // a GetStatusRequest without fields
        new grpc.Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, reply) => {
          if (reply) resolve(reply);
          else if (error?.code === grpc.status.DEADLINE_EXCEEDED)
            reject(noServer(address, `it does not answer within ${timeoutMs / 1000} s`));
          else reject(noServer(address, 'what listens there is no server of TensorFlow'));
        },
      );
    });
  } finally {
    client.close();
  }
}

/** A `GetStatusResponse`: `device_attributes` (1). */
function readStatus(reply: Uint8Array) {
  const devices: ReturnType<typeof readDevice>[] = [];
  try {
    const reader = new protobuf.BinaryReader(reply);
    while (reader.nextField()) {
      if (reader.getFieldNumber() === 1) devices.push(readDevice(reader.readBytes() as Uint8Array));
      else reader.skipField();
    }
  } catch {
    return []; // no message of TensorFlow's
  }
  return devices;
}

/** `name` (1), `device_type` (2), `memory_limit` (4), `incarnation` (6), `physical_device_desc` (7). */
function readDevice(bytes: Uint8Array) {
  const device = { fullName: '', type: '', memoryBytes: 0, incarnation: '0', description: '' };
  const reader = new protobuf.BinaryReader(bytes);
  while (reader.nextField()) {
    const field = reader.getFieldNumber();
    if (field === 1) device.fullName = reader.readString();
    else if (field === 2) device.type = reader.readString();
    else if (field === 4) device.memoryBytes = reader.readInt64();
    else if (field === 6) device.incarnation = reader.readFixed64String();
    else if (field === 7) device.description = reader.readString();
    else reader.skipField();
  }
  return device;
}
