/** `serve`: a process whose devices others use. Each server is a child process; all traffic is on loopback. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Message } from '../../src/native/c/protobuf.js';
import { environment, runNode } from '../native/child.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

const USER = fileURLToPath(new URL('../native/programs/use-server.js', import.meta.url));

interface Line {
  event: string;
  msg: string;
  [field: string]: unknown;
}

/** Starts a server, and waits until it answers. */
async function serve(t: TestContext, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [CLI, 'serve', '--json', ...args], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const lines: Line[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  await Promise.race([once(reader, 'line'), once(child, 'exit')]);
  assert.equal(lines[0]?.event, 'serving', stderr);
  const address = String(lines[0].address);
  return { child, lines, reader, address, port: Number(address.split(':').at(-1)), stderr: () => stderr };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  const [code] = await once(child, 'close');
  return code;
}

/** The names of the devices that the server tells everybody who asks (`WorkerService.GetStatus`, by gRPC). */
async function devicesOf(session: ClientHttp2Session): Promise<string[]> {
  const request = session.request({
    ...{ ':method': 'POST', ':path': '/tensorflow.WorkerService/GetStatus' },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  });
  request.end(Buffer.alloc(5)); // not compressed, no bytes
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const answer = new Message(Buffer.concat(chunks).subarray(5));
  return answer
    .messages(1)
    .map((device) => device.text(1))
    .sort();
}

test('a server says what it has, answers coordinators one after another and at once, and ends with the signal', async (t) => {
  const { child, lines, reader, address, stderr } = await serve(t, ['--address', '127.0.0.1:0', '--threads', '1']);
  const { devices, threads_per_op, tensorflow } = lines[0]!;
  assert.match(address, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual([threads_per_op, devices], [1, ['CPU:0', 'CPU:1'].map((name) => device(name))]);
  const job = `alexnet_split_tf_${String(tensorflow).replaceAll('.', '_')}`;
  const names = [0, 1].map((cpu) => `/job:${job}/replica:0/task:0/device:CPU:${cpu}`);
  const session = connectHttp2(`http://${address}`);
  assert.deepEqual(await devicesOf(session), names);
  const use = () => runNode([USER, address], { GRPC_FAIL_FAST: 'true', http_proxy: 'http://127.0.0.1:9' });
  for (const { code, stdout, stderr } of [await use(), ...(await Promise.all([use(), use()]))]) {
    assert.deepEqual([code, stdout], [0, `42 on ${address}/CPU:1\n`], stderr);
  }
  assert.deepEqual(await devicesOf(session), names, 'they change when a coordinator joins');
  session.close();
  while (!lines.some(({ event }) => event === 'left')) await once(reader, 'line');
  const [connected, left] = ['connected', 'left'].map((name) => lines.find(({ event }) => event === name)!);
  assert.equal(connected!.peer, '127.0.0.1');
  if (process.platform === 'linux') {
    assert.ok(Number(left!.received) > 100 && Number(left!.sent) > 200, JSON.stringify(left));
  }
  assert.equal(await end(child, 'SIGTERM'), 143);
  assert.match(
    stderr(),
    /^only this machine can connect; all its users can, and could run any code as the user \S+: .*\n$/,
  );
});

function device(name: string) {
  return { name, type: 'CPU', memory_bytes: 256 * 2 ** 20 };
}

test('a server answers at its own address alone, and only those that may connect', {
  skip: skipSockets(),
}, async (t) => {
  const [one, some] = await Promise.all([
    serve(t, ['--address', '127.0.0.1:0']),
    serve(t, ['--address', '0.0.0.0:0', '--allow', '127.0.0.3,127.1.0.0/16']),
  ]);
  assert.deepEqual(await answers(one.port, [['127.0.0.2'], ['127.0.0.1']]), [false, true]);
  const from = [
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.3'],
    ['127.0.0.2', '127.1.2.3'],
  ];
  assert.deepEqual(await answers(some.port, from), [false, true, true]);
  assert.deepEqual([await end(one.child, 'SIGINT'), await end(some.child, 'SIGHUP')], [130, 129]);
  // It is printed after the event, perhaps later than the answers.
  assert.match(
    some.stderr(),
    /^warning: whoever has one of the addresses 127\.0\.0\.3, 127\.1\.0\.0\/16 and reaches port \d+ of .* \(all addresses of this machine\) can run any code as the user /,
  );
});

function skipSockets(): string | false {
  return process.platform !== 'linux' && 'ports are restricted on Linux alone';
}

/**
 * Tries to connect to addresses, with source addresses. All are tried at once, then a last time those that must answer: what
 * has not answered by then does not answer.
 */
async function answers(port: number, tries: readonly (readonly string[])[]): Promise<boolean[]> {
  const sockets = tries.map(([host, localAddress]) => {
    const socket = connect({ host: host!, port, ...(localAddress !== undefined && { localAddress }) });
    let isConnected = false;
    socket.on('connect', () => {
      isConnected = true;
    });
    socket.on('error', () => {});
    return { socket, isConnected: () => isConnected };
  });
  await once(sockets.at(-1)!.socket, 'connect');
  const [host, localAddress] = tries.at(-1)!;
  for (let i = 0; i < 3; i++) {
    const again = connect({ host: host!, port, ...(localAddress !== undefined && { localAddress }) });
    await once(again, 'connect');
    again.destroy();
  }
  const connected = sockets.map(({ isConnected }) => isConnected());
  for (const { socket } of sockets) socket.destroy();
  return connected;
}

test('serve refuses a port in use, an address that is not of this machine, and a missing library', async (t) => {
  const { address } = await serve(t, ['--address', '127.0.0.1:0']);
  const port = address.split(':')[1]!;
  const cases: [number, RegExp, string[], NodeJS.ProcessEnv?][] = [
    [2, /^error: Cannot serve on \S+: another program uses the port; choose another, or 0 for any/, [address]],
    [2, /^error: Cannot serve on \S+: another program uses the port/, [`127.0.0.2:${port}`]],
    [
      2,
      /^error: Cannot serve on 192\.0\.2\.77:0: 192\.0\.2\.77 is not an address of this machine, .* 127\.0\.0\.1/,
      ['192.0.2.77:0'],
    ],
    [2, /^error: Cannot serve on no\.invalid:1: there is no host no\.invalid; use an address/, ['no.invalid:1']],
    [2, /^error: Cannot use the --address "127\.0\.0\.1": expected HOST:PORT, such as/, ['127.0.0.1']],
    [2, /^error: Cannot use the --address "127\.0\.0\.1:65536": expected/, ['127.0.0.1:65536']],
    [2, /^error: Cannot restrict port \d+: "host" is no address, expected/, ['127.0.0.1:0', '--allow', 'host']],
    [
      1,
      /^error: Cannot use TENSORFLOW_DIR: the folder \/none does not exist/,
      ['127.0.0.1:0'],
      { TENSORFLOW_DIR: '/none' },
    ],
  ];
  const results = await Promise.all(cases.map(([, , args, env]) => runNode([CLI, 'serve', '--address', ...args], env)));
  for (const [i, { code, stdout, stderr }] of results.entries()) {
    const [expected, message] = cases[i]!;
    assert.match(stderr, message);
    assert.deepEqual([code, stdout, stderr.trimEnd().split('\n').length], [expected, '', 1], stderr);
  }
});
