import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { checkDifferent, findCluster } from '../../src/cluster/cluster.js';
import { ConfigError, ServerError } from '../../src/errors.js';
import { bytesField } from '../../src/native/c/protobuf.js';

test('two addresses that lead to one server are refused, as a name and a number or a wrong tunnel', () => {
  const [a, b, again] = [
    { address: '127.0.0.1:2202', incarnation: '17' },
    { address: '127.0.0.1:2203', incarnation: '18' },
    { address: 'localhost:2202', incarnation: '17' },
  ];
  checkDifferent([a, b]);
  assert.throws(
    () => checkDifferent([a, b, again]),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(
        error.message,
        /^Cannot use the servers 127\.0\.0\.1:2202 and localhost:2202 together: both .* same/,
      );
      return true;
    },
  );
});

/** A gRPC server whose `GetStatus` answers with one device of that job. @returns its address. */
async function standIn(t: TestContext, job: string): Promise<string> {
  const server = new grpc.Server();
  const identity = (bytes: Buffer) => bytes;
  const text = (field: number, value: string) => bytesField(field, Buffer.from(value));
  const device = [...text(1, `/job:${job}/replica:0/task:0/device:CPU:0`), ...text(2, 'CPU')];
  const reply = Buffer.from(bytesField(1, device));
  const getStatus = { path: '/tensorflow.WorkerService/GetStatus', requestStream: false, responseStream: false };
  const coding = { requestSerialize: identity, requestDeserialize: identity };
  const answer = { responseSerialize: identity, responseDeserialize: identity };
  server.addService(
    { getStatus: { ...getStatus, ...coding, ...answer } },
    { getStatus: (_: unknown, callback: (error: null, reply: Buffer) => void) => callback(null, reply) },
  );
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return `127.0.0.1:${port}`;
}

test('a server with another version of TensorFlow, or of another program, is refused with its address', async (t) => {
  for (const [job, reason] of [
    ['alexnet_split_tf_2_20_0', /: it runs TensorFlow 2\.20\.0, expected 2\.21\.0 as here; install the same version/],
    ['worker', /: what listens there is no server of alexnet-split; start one there/],
  ] as const) {
    const address = await standIn(t, job);
    await assert.rejects(findCluster([address]), (error) => {
      assert.ok(error instanceof ServerError);
      assert.ok(error.message.startsWith(`Cannot use the server ${address}: `), error.message);
      assert.match(error.message, reason);
      return true;
    });
  }
});
