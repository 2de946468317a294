/** Python's packages for tests, with a stand-in for Python. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test, { after } from 'node:test';
import { installPythonTools, pythonToolsFolder } from '../../scripts/test-python.js';
import { SetupError } from '../../src/errors.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-python-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const cache = join(folder, 'cache');
Object.assign(process.env, { ALEXNET_SPLIT_CACHE: cache, PATH: `${folder}${delimiter}${process.env.PATH}` });
fs.writeFileSync(join(folder, 'requirements.txt'), 'numpy==1\n');

/** A Python of a version. Its pip makes the folder that it is to fill, or fails. */
function python(version: string, pip = 'mkdir -p "$target"'): void {
  const script = `#!/bin/sh
if [ "$1" = -c ]; then echo "${version} linux-x86_64"; exit; fi
for each in "$@"; do [ "$last" = --target ] && target="$each"; last="$each"; done
${pip}
`;
  fs.writeFileSync(join(folder, 'python3'), script, { mode: 0o755 });
}

async function said(): Promise<string[]> {
  const lines: string[] = [];
  await installPythonTools(folder, (line) => lines.push(line));
  return lines;
}

test('packages are installed once for each version of Python', async () => {
  python('cpython-311');
  assert.deepEqual(await said(), ["installing the tests' Python packages (pip)"]);
  assert.deepEqual(await said(), []);
  const first = pythonToolsFolder(folder);
  python('cpython-312');
  assert.equal((await said()).length, 1);
  assert.deepEqual(
    fs.readdirSync(cache).sort(),
    [first, pythonToolsFolder(folder)].map((each) => each.slice(cache.length + 1)).sort(),
  );
});

test('what pip could not install leaves nothing, and its last line says why', async () => {
  python('cpython-313', 'mkdir -p "$target"; echo "ERROR: no network" >&2; exit 1');
  const before = fs.readdirSync(cache);
  await assert.rejects(said(), (error: Error) => {
    assert.ok(error instanceof SetupError);
    assert.match(error.message, /^Cannot install .*: python3 -m pip says "ERROR: no network"; check the network/);
    return true;
  });
  assert.deepEqual(fs.readdirSync(cache), before);
});
