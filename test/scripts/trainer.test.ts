/** Reading what a process writes and prints while it runs. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test, { after } from 'node:test';
import { collect, eventsIn, wholeLines } from '../../scripts/trainer.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-trainer-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('wholeLines() returns no part of a line, wherever the file ends', () => {
  const file = join(folder, 'lines');
  assert.deepEqual(wholeLines(file), []);
  const bytes = Buffer.from('one\n\ntwo ä\n');
  for (let end = 0; end <= bytes.length; end++) {
    fs.writeFileSync(file, bytes.subarray(0, end));
    const expected = ['one', '', 'two ä'].slice(0, bytes.subarray(0, end).filter((byte) => byte === 10).length);
    assert.deepEqual(wholeLines(file), expected, `${end} bytes`);
    // Also in pieces, the smaller of which cut lines and characters.
    for (const chunk of [1, 2, 5])
      assert.deepEqual(wholeLines(file, chunk), expected, `${end} bytes, ${chunk} at a time`);
  }
  assert.throws(() => wholeLines(folder), { code: 'EISDIR' });
});

test('eventsIn() reads a log whose last line is half written, and throws at any other line that is not whole', () => {
  const file = join(folder, 'log.ndjson');
  const line = (step: number) => `{"event":"train_step","step":${step}}\n`;
  const steps = () => eventsIn(folder).map((event) => (event as unknown as { step: number }).step);
  assert.deepEqual(steps(), []);
  for (const half of ['', '{', line(3).slice(0, 20), line(3).trimEnd()]) {
    fs.writeFileSync(file, line(1) + line(2) + half);
    assert.deepEqual(steps(), [1, 2], half);
  }
  fs.writeFileSync(file, `${line(1)}{"event"\n${line(2)}`);
  assert.throws(steps, SyntaxError);
});

/** A process whose pipes deliver what the test writes. */
function fakeChild() {
  const pipes = { stdout: new PassThrough(), stderr: new PassThrough() };
  const child = Object.assign(new EventEmitter(), pipes);
  const end = (code: number) => {
    Object.values(pipes).forEach((pipe) => void pipe.end());
    setImmediate(() => child.emit('close', code, null));
  };
  return { ...pipes, end, ...collect(child as unknown as ChildProcess) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('collect() finds a text, and keeps a character, that a pipe delivers in pieces', async () => {
  const { stdout, stderr, end, hasPrinted, printed, ended } = fakeChild();
  let found = false;
  const finding = Promise.all([hasPrinted('forever ä'), hasPrinted(/^rea.y/m, 'stderr')]).then(() => {
    found = true;
  });
  const bytes = Buffer.from('cli forever ä\n');
  for (let i = 0; i < bytes.length; i++) {
    stdout.write(bytes.subarray(i, i + 1));
    await turn();
  }
  assert.deepEqual([found, printed.stdout], [false, 'cli forever ä\n']);
  for (const piece of ['so\nre', 'ady']) {
    stderr.write(piece);
    await turn();
  }
  await finding;
  await hasPrinted('forever'); // it has been printed already
  end(3);
  assert.deepEqual(await ended, { code: 3, signal: null, stdout: 'cli forever ä\n', stderr: 'so\nready' });
});

test('collect() says what a process printed that ends without the text', async () => {
  const { stdout, end, hasPrinted } = fakeChild();
  const waiting = hasPrinted('step 5');
  stdout.write('step 4');
  end(1);
  await assert.rejects(waiting, /^Error: it ended and did not print step 5: .*"code":1.*"stdout":"step 4"/);
});
