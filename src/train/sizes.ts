/** The limit of what TensorFlow sends between processes. */
import { bytesOf } from '../checkpoint/safetensors.js';
import type { Config } from '../config/config.js';
import { remoteDevice } from '../config/servers.js';
import { ConfigError } from '../errors.js';
import { buildNet, parametersOf, sitesOf } from '../model/net.js';

/** A tensor crosses in one message of protobuf. */
const MOST_BYTES = 2 ** 31 - 1;

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/**
 * Makes sure that every tensor that goes to a server or comes from one is small enough.
 * @throws ConfigError that names the tensor.
 */
export function refuseLargeTensors({ net, batchSize, devices }: Pick<Config, 'net' | 'batchSize' | 'devices'>): void {
  const device = devices.find(remoteDevice);
  if (device === undefined) return;
  const built = buildNet(net);
  const { inputSize, inputChannels } = net;
  const ofAnImage = [
    { what: 'the images of a step', bytes: bytesOf([inputSize, inputSize, inputChannels]) },
    ...sitesOf(built).map(({ name, shape }) => ({ what: `the activations for ${name}`, bytes: bytesOf(shape) })),
  ];
  const limit = `expected less than 2 GiB, TensorFlow's limit for a tensor that it sends`;
  const large = ofAnImage.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  if (large.bytes * batchSize > MOST_BYTES) {
    const most = Math.floor(MOST_BYTES / large.bytes);
    throw new ConfigError(
      `Cannot train on ${device}: ${large.what} have ${gibibytes(large.bytes * batchSize)}, ${limit}; use a --batch-size of at most ${most}, or devices of this machine`,
    );
  }
  const found = parametersOf(built).find(({ shape }) => bytesOf(shape) > MOST_BYTES);
  if (!found) return;
  throw new ConfigError(
    `Cannot train on ${device}: the weights ${found.name} have ${gibibytes(bytesOf(found.shape))}, ${limit}; use a smaller --width, or devices of this machine`,
  );
}
