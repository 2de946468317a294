import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { readConfigFile } from '../../src/config/file.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-config-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

function fileWith(text: string): string {
  const file = join(folder, `${fs.readdirSync(folder).length}.json`);
  fs.writeFileSync(file, text);
  return file;
}

test('readConfigFile() returns the values and the path, with or without a byte order mark', () => {
  for (const text of ['{"seed": 3}', '\uFEFF{"seed": 3}\n']) {
    const file = fileWith(text);
    assert.deepEqual(readConfigFile(file), { file, values: { seed: 3 } });
  }
});

test('readConfigFile() explains in a sentence that names the file why it cannot be read', () => {
  const broken = fileWith('{"seed": ');
  const list = fileWith('[1]');
  const none = fileWith('null');
  const cases: [file: string, message: RegExp][] = [
    [join(folder, 'missing.json'), /missing\.json: there is no such file, expected JSON$/],
    [folder, /: it is a folder, expected JSON$/],
    [broken, /Unexpected end of JSON input, expected JSON$/],
    [list, /: it has \[1\], expected a JSON object$/],
    [none, /: it has null, expected a JSON object$/],
  ];
  for (const [file, message] of cases) {
    assert.throws(() => readConfigFile(file), { name: 'ConfigError', message });
    assert.throws(
      () => readConfigFile(file),
      (error: Error) => error.message.startsWith(`Cannot read the config file ${file}:`),
    );
  }
});

test('readConfigFile() drops settings of earlier versions', () => {
  const earlier = fileWith(
    '{"seed": 3, "fault": null, "compile": "grappler", "exchange": {"overlap": true, "dtype": "float16"}}',
  );
  assert.deepEqual(readConfigFile(earlier).values, { seed: 3, compile: 'on', exchange: { dtype: 'float16' } });
});
