/** A process that joins servers, and tries to reach its own port at its address and at another one of this machine. */
import { connect } from 'node:net';

import tf = require('@tensorflow/tfjs');

import { restrictCoordinator } from '../../src/cluster/cluster.js';
import { useDevice } from '../../src/native/binding/backend.js';
import { openContext } from '../../src/native/c/context.js';
import { compile } from '../../src/native/graph/compile.js';
import { isWorthWinograd } from '../../src/native/layers/winograd-conv.js';
import { clusterOf, contextOptions } from '../../src/train/context-options.js';

const devices = process.argv.slice(2);
const cluster = (await clusterOf({ devices }))!;
const names = openContext(contextOptions('original', devices, cluster)).devices.map(({ name }) => name);
const warning = await restrictCoordinator(cluster);
const port = Number(cluster.coordinator.split(':').at(-1));

function isReached(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 500 }, () => resolve(true));
    for (const event of ['timeout', 'error']) socket.on(event, () => resolve(false));
  });
}

/** Whether a function on the server's device computes large convolutions as one of this machine does: by XLA. */
let winograd = false;
useDevice(devices[0]!);
const traced = compile((x) => {
  winograd = isWorthWinograd([128, 27, 27, 48], [5, 5, 48, 128]);
  return [tf.square(x)];
});
traced(tf.scalar(2))[0]!.dataSync();

const reached = [await isReached('127.0.0.1'), await isReached('127.0.0.2')];
process.stdout.write(JSON.stringify({ names, warning, winograd, reached }), () => process.exit(0));
