import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { parseJson, readJson, readText } from '../src/read-json.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-json-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'file');

test('readText() accepts a file up to exactly its limit', () => {
  for (const length of [0, 1, 100, 65_535, 65_536, 200_000]) {
    const text = 'é'.repeat(length / 2);
    fs.writeFileSync(file, text);
    const bytes = Buffer.byteLength(text);
    assert.equal(readText(file, { limit: bytes }), text);
    assert.equal(readText(file, { limit: bytes, pipe: true }), text);
    if (bytes > 0) assert.throws(() => readText(file, { limit: bytes - 1 }), /bytes, more than/);
  }
});

test('readText() refuses folders, devices without an end, and pipes that nobody writes to', () => {
  assert.throws(() => readText(folder, { limit: 9 }), /^Error: it is a folder$/);
  assert.throws(() => readText(join(folder, 'none'), { limit: 9 }), { code: 'ENOENT' });
  assert.throws(() => readText('/dev/zero', { limit: 100_000 }), /^Error: it is not a file$/);
  assert.throws(() => readText('/dev/zero', { limit: 100_000, pipe: true }), /it has more bytes, more than 100000/);
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  assert.throws(() => readText(pipe, { limit: 9 }), /^Error: it is not a file$/);
});

test('readText() reads from a pipe', () => {
  const code = `import { readText } from ${JSON.stringify(new URL('../src/read-json.js', import.meta.url).href)};
    process.stdout.write(readText('/dev/stdin', { limit: 200_000, pipe: true }));`;
  const text = 'ab'.repeat(90_000);
  fs.writeFileSync(file, text);
  // Node.js gives its children sockets: a pipe is a shell's.
  const script = 'cat "$1" | "$2" --input-type=module -e "$3"';
  assert.equal(execFileSync('sh', ['-c', script, 'sh', file, process.execPath, code]).toString(), text);
});

test('readText() continues after a short read, and keeps no more memory than the text', (t) => {
  const text = 'aé€𝄞'.repeat(2_000);
  fs.writeFileSync(file, text);
  let [reads, mostBytes] = [0, 0];
  const readSync = fs.readSync;
  // As some file systems give it: a byte each time, in the midst of letters.
  const short = t.mock.method(fs, 'readSync', (descriptor: number, buffer: Buffer) => {
    reads++;
    mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
    return readSync(descriptor, buffer, 0, Math.min(1, buffer.length), null);
  });
  syncBuiltinESMExports();
  const before = process.memoryUsage().arrayBuffers;
  for (const pipe of [false, true]) assert.equal(readText(file, { limit: 20_000, pipe }), text);
  assert.throws(() => readText(file, { limit: 19_999 }), /^Error: it has 20000 bytes, more than 19999$/);
  short.mock.restore();
  syncBuiltinESMExports();
  assert.equal(reads, 2 * 20_001);
  assert.ok(mostBytes - before < 2 ** 24, `${mostBytes - before} bytes`);
});

test('parseJson() accepts 64 levels of lists and objects, and refuses 65', () => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const nested = (levels: number) => `${open.repeat(levels)}1${close.repeat(levels)}`;
    assert.doesNotThrow(() => parseJson(nested(64)));
    for (const levels of [65, 100_000]) assert.throws(() => parseJson(nested(levels)), SyntaxError);
  }
  assert.throws(() => parseJson('{'), SyntaxError);
  fs.writeFileSync(file, '{"__proto__": [1, {}], "b": null}');
  assert.deepEqual(Object.keys(readJson(file, { limit: 100 }) as object), ['__proto__', 'b']);
});
