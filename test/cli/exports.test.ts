/** `train --tensorboard`, `report --tensorboard` and `train --metrics-port`, around a stand-in for the training. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openExports } from '../../src/cli/exports.js';
import type { TrainModule } from '../../src/cli/services.js';
import { RUN_END, RUN_START, trainStep } from '../events.js';
import { runNode } from '../native/child.js';
import { openReader } from '../tensorboard-reader.js';
import { run, threeSteps, trainModule } from './stand-ins.js';

const base = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-exports-'));
after(() => fs.rmSync(base, { recursive: true, force: true }));

const reader = await openReader();

test('TensorBoard reads the same from a run and from its log', { skip: 'skip' in reader && reader.skip }, async () => {
  assert.ok('tool' in reader);
  const out = join(base, 'runs');
  const trained = await run(['train', '--out', out, '--run', 'r', '--tensorboard']);
  assert.deepEqual([trained.exitCode, trained.stderr.text], [0, '']);
  const folder = join(out, 'r', 'tensorboard');
  assert.equal(fs.readdirSync(folder).length, 1);
  const { times: _, ...live } = await reader.tool(folder);
  assert.deepEqual(live.scalars['train/loss'], { 1: Math.fround(2.3), 2: Math.fround(2.3), 3: Math.fround(2.3) });
  assert.deepEqual(live.scalars['eval/top5'], { 3: Math.fround(0.99) });

  const boards = join(base, 'boards');
  const { exitCode, stdout } = await run(['report', join(out, 'r'), '--tensorboard', boards]);
  assert.deepEqual([exitCode, stdout.lines], [0, [join(boards, 'r')]]);
  const { times, ...written } = await reader.tool(join(boards, 'r'));
  assert.deepEqual(written, live);
  const logged = fs
    .readFileSync(join(out, 'r', 'log.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; step: number; time: number });
  const steps = logged.filter(({ event }) => event === 'train_step').map(({ step, time }) => [step, time / 1000]);
  assert.deepEqual(times['train/loss'], Object.fromEntries(steps));
});

test('report --tensorboard gives each run a folder, and refuses one that has event files', async () => {
  const names = ['one', 'two'];
  for (const name of names) await run(['train', '--out', base, '--run', name]);
  const boards = join(base, 'both');
  const command = ['report', ...names.map((name) => join(base, name)), '--tensorboard', boards];
  assert.equal((await run(command)).exitCode, 0);
  assert.deepEqual(fs.readdirSync(boards).sort(), names);
  const again = await run(command);
  assert.equal(again.exitCode, 1);
  assert.match(
    again.stderr.text,
    /^error: Cannot write .*both\/one: it has the event file events\.out\.tfevents\..*; remove it, or choose/,
  );
});

test('a run without these flags has neither', async () => {
  const { notes, close } = await openExports({ tensorboard: false, metricsPort: null });
  close();
  assert.deepEqual(notes, []);
  await run(['train', '--out', base, '--run', 'plain']);
  assert.deepEqual(fs.readdirSync(join(base, 'plain')).sort(), ['config.json', 'log.ndjson']);
});

test('an event file that cannot be written is a warning, and the training goes on', async () => {
  const out = join(base, 'blocked');
  const train: TrainModule['train'] = (asked, ui) => {
    const begin: typeof ui.begin = (config) => {
      const named = ui.begin?.(config) ?? config;
      fs.writeFileSync(join(out, named.run, 'tensorboard'), 'a file, where a folder was to be');
      return named;
    };
    return threeSteps(asked, { ...ui, begin });
  };
  const loadTrain = trainModule({ train });
  const { exitCode, stderr } = await run(['train', '--out', out, '--run', 'r', '--tensorboard'], { loadTrain });
  assert.equal(exitCode, 0);
  assert.match(stderr.text, /^warning: the TensorBoard event file ends at this point: .*\n$/);
  assert.match(fs.readFileSync(join(out, 'r', 'log.ndjson'), 'utf8'), /"event":"warning".*TensorBoard event file ends/);
});

/** The answer to a request. */
function ask(url: string, method = 'GET', host?: string): Promise<{ status: number; type: string; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = host === undefined ? {} : { host };
    const sent = request(url, { method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode!, type: response.headers['content-type'] ?? '', body }),
      );
    });
    sent.once('error', reject).end();
  });
}

test('train --metrics-port 0 says where the metrics are, serves them while it trains, and then no longer', async () => {
  let answer: Awaited<ReturnType<typeof ask>> | undefined;
  let url = '';
  const train: TrainModule['train'] = async (asked, ui) => {
    const config = ui.begin?.(asked) ?? asked;
    ui.report({ ...RUN_START, run: config.run, config });
    ui.report(trainStep(1));
    url = /metrics at (http:\S+)/.exec(screen())![1]!;
    answer = await ask(url);
    ui.report(RUN_END);
    return { exitCode: 0, top1: 0, steps: 1 };
  };
  const written: string[] = [];
  const screen = () => written.join('');
  const stdout = { isTTY: false, write: (text: string) => written.push(text) > 0 };
  const { exitCode } = await run(['train', '--out', base, '--run', 'served', '--metrics-port', '0'], {
    ...{ stdout, loadTrain: trainModule({ train }) },
  });
  assert.equal(exitCode, 0);
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  assert.deepEqual([answer!.status, answer!.type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  assert.match(answer!.body, /^alexnet_split_step 1$/m);
  assert.match(answer!.body, /^alexnet_split_run_info\{run="served",/m);
  await assert.rejects(ask(url), { code: 'ECONNREFUSED' });
});

test('the metrics are for GET of one path, by the name of this machine', async () => {
  const { notes, close } = await openExports({ tensorboard: false, metricsPort: 0 });
  try {
    const url = notes[0]!.replace('metrics at ', '');
    const { host, port } = new URL(url);
    assert.equal((await ask(url)).status, 200);
    assert.equal((await ask(`${url}?a=b`, 'GET', `LOCALHOST:${port}`)).status, 200);
    for (const name of ['example.org', `example.org:${port}`, '127.0.0.1', `127.0.0.1.example.org:${port}`]) {
      assert.equal((await ask(url, 'GET', name)).status, 403, name);
    }
    assert.equal((await ask(url, 'POST')).status, 405);
    assert.equal((await ask(`http://${host}/`)).status, 404);
    assert.equal((await ask(`http://${host}/metrics/`)).status, 404);
  } finally {
    close();
  }
});

test('a port in use is refused before the training', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const { exitCode, stderr } = await run(['train', '--out', base, '--run', 'none', '--metrics-port', String(port)], {
    loadTrain: trainModule({}),
  });
  other.close();
  assert.deepEqual(
    [exitCode, stderr.text],
    [
      2,
      `error: Cannot serve metrics on port ${port}: another program uses it; choose another --metrics-port, or 0 for any free one\n`,
    ],
  );
  assert.ok(!fs.existsSync(join(base, 'none')));
});

test('neither the server nor an open connection keeps the process alive', async () => {
  const module = new URL('../../src/cli/exports.js', import.meta.url).href;
  const { code, stdout, stderr } = await runNode([
    '--input-type=module',
    '-e',
    `import { connect } from 'node:net';
     const { openExports } = await import(${JSON.stringify(module)});
     const { notes } = await openExports({ tensorboard: false, metricsPort: 0 });
     const { host, port } = new URL(notes[0].replace('metrics at ', ''));
     const socket = connect(Number(port), '127.0.0.1');
     socket.write('GET /metrics HTTP/1.1\\r\\nhost: ' + host + '\\r\\n\\r\\n');
     await new Promise((resolve) => socket.once('data', resolve));
     socket.unref();
     // What is \`unref\` is not among these.
     console.log(process.getActiveResourcesInfo().filter((each) => each.startsWith('TCP')).join());
     process.exit();`,
  ]);
  assert.deepEqual([code, stdout], [0, '\n'], stderr);
});
