/** The rules of biome.layers.jsonc, on made-up sources that break one rule each. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { folderOf } from '../data/sets.js';
import { ROOT, write } from './clones.js';

const IMPORTS = 'lint/style/noRestrictedImports';
const GLOBALS = 'lint/style/noRestrictedGlobals';
const LINES = 'lint/style/noExcessiveLinesPerFile';
const CYCLES = 'lint/suspicious/noImportCycles';

/** @returns the violations of a tree of these files, sorted: `path:line rule`. */
function lint(t: TestContext, files: Record<string, string>): string[] {
  const root = folderOf(t, {});
  for (const path of ['biome.json', 'biome.layers.jsonc', '.gitignore', 'scripts/lint']) {
    fs.cpSync(join(ROOT, path), join(root, path), { recursive: true });
  }
  for (const [path, text] of Object.entries(files)) write(root, path, `${text}\n`);
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const args = [biome, 'lint', '--reporter=concise', '--diagnostic-level=error', '--max-diagnostics=none', 'src'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const found = [...`${stdout}${stderr}`.matchAll(/^× (src\/\S+?):(\d+):\d+: (\S+?):/gm)];
  assert.equal(status, found.length === 0 ? 0 : 1, stderr);
  return found.map(([, path, line, rule]) => `${path}:${line} ${rule}`).sort();
}

/** Asserts that the files have exactly the given violations. */
function assertFound(t: TestContext, cases: readonly [path: string, text: string, ...found: string[]][]): void {
  const files = Object.fromEntries(cases.map(([path, text]) => [path, text]));
  assert.equal(Object.keys(files).length, cases.length);
  const expected = cases.flatMap(([path, , ...found]) => found.map((each) => `${path}:${each}`));
  assert.deepEqual(lint(t, files), expected.sort());
}

test('lint accepts imports of lower folders, and of libraries in their own folder', (t) => {
  assertFound(t, [
    ['src/errors.ts', 'export class A extends Error {}'],
    ['src/log-writer.ts', "import pino from 'pino';\nimport { A } from './errors.js';\nexport const log = [pino, A];"],
    ['src/cli.ts', "import './train/loop.js';\nimport { z } from 'zod';\nexport const c = z;"],
    ['src/cli/services.ts', 'export const out = process.stdout;'],
    ['src/train/loop.ts', "import { tower } from '../tower/tower.js';\nexport const a = tower;"],
    ['src/train/accept/report.ts', "export { a } from '../loop.js';\nexport { log } from '../../log-writer.js';"],
    ['src/tower/tower.ts', "import { gather } from '../exchange/gather.js';\nexport const tower = gather;"],
    ['src/tower/client.ts', "import { Piscina } from 'piscina';\nexport const pool = Piscina;"],
    ['src/tower/tf.ts', "import tf = require('@tensorflow/tfjs');\nexport const a = tf;"],
    ['src/tower/types.ts', "import type * as tf from '@tensorflow/tfjs';\nexport type A = tf.Tensor;"],
    ['src/data/pool.ts', "import { Piscina } from 'piscina';\nexport const pool = Piscina;"],
    ['src/checkpoint/writer.ts', "import { Piscina } from 'piscina';\nexport const pool = Piscina;"],
    [
      'src/exchange/gather.ts',
      "import { pack } from 'msgpackr';\nimport { MessagePort } from 'node:worker_threads';\nimport { A } from '../errors.js';\nexport const gather = () => Atomics.load(pack(A, MessagePort), 0);",
    ],
    ['src/config/config.ts', "import { net } from '../model/net.js';\nexport type C = typeof net;"],
    ['src/model/net.ts', "// Atomics, TF_Version and process.stdout\nexport const net = 'TF_Version';"],
    ['src/model/long.ts', `${'//\n'.repeat(299)}export {};`],
    ['src/native/a.ts', "import koffi from 'koffi';\nexport const version = koffi.TF_Version();"],
    ['src/native/graph/b.ts', "import '../c/d.js';\nimport '../context-options.js';\nimport '../../errors.js';"],
  ]);
});

test('lint refuses imports of higher folders and of neighbours, in each form of import', (t) => {
  assertFound(t, [
    ['src/tower/up.ts', "\nimport '../train/loop.js';", `2 ${IMPORTS}`],
    ['src/model/side.ts', "import { gather } from '../exchange/gather.js';\nexport const a = gather;", `1 ${IMPORTS}`],
    ['src/optim/types.ts', "import type { C } from '../config/config.js';\nexport type A = C;", `1 ${IMPORTS}`],
    ['src/optim/named.ts', "import { type C } from '../config/config.js';\nexport type A = C;", `1 ${IMPORTS}`],
    ['src/optim/lazy.ts', "export const a = await import('../model/net.js');", `1 ${IMPORTS}`],
    ['src/optim/required.ts', "import a = require('../model/net.js');\nexport const b = a;", `1 ${IMPORTS}`],
    ['src/data/again.ts', "export { net } from '../model/net.js';", `1 ${IMPORTS}`],
    ['src/data/sets/a.ts', "import '../../config/config.js';", `1 ${IMPORTS}`],
    ['src/checkpoint/a.ts', "import '../data/index.js';", `1 ${IMPORTS}`],
    ['src/config/a.ts', "import '../tower/tower.js';", `1 ${IMPORTS}`],
    ['src/weights/a.ts', "import '../config/config.js';", `1 ${IMPORTS}`],
    ['src/train/a.ts', "import '../cli/train.js';", `1 ${IMPORTS}`],
    ['src/train/accept/a.ts', "import '../../cli.js';", `1 ${IMPORTS}`],
    ['src/errors.ts', "import './printable.js';", `1 ${IMPORTS}`],
    ['src/paths.ts', "import './log.js';", `1 ${IMPORTS}`],
    ['src/log.ts', "import './train/loop.js';", `1 ${IMPORTS}`],
    ['src/attic/x.ts', "import 'node:fs';", `1 ${IMPORTS}`],
    ['src/config/attic/x.ts', "import 'node:fs';", `1 ${IMPORTS}`],
    ['src/stray.ts', "import 'node:fs';", `1 ${IMPORTS}`],
    ['src/native/a.ts', "import '../model/net.js';", `1 ${IMPORTS}`],
    ['src/native/c/a.ts', "import '../binding/b.js';", `1 ${IMPORTS}`],
    ['src/native/binding/a.ts', "import '../graph/b.js';", `1 ${IMPORTS}`],
    ['src/native/graph/a.ts', "import '../layers/b.js';", `1 ${IMPORTS}`],
    ['src/native/install/a.ts', "import '../c/d.js';", `1 ${IMPORTS}`],
    ['src/native/layers/a.ts', "import '../../train/loop.js';", `1 ${IMPORTS}`],
  ]);
});

test('lint keeps libraries, shared memory and output in their folders', (t) => {
  assertFound(t, [
    ['src/model/koffi.ts', "import koffi from 'koffi';\nexport const a = koffi;", `1 ${IMPORTS}`],
    ['src/train/msgpack.ts', "import { pack } from 'msgpackr';\nexport const a = pack;", `1 ${IMPORTS}`],
    ['src/tower/worker.ts', "import { Piscina } from 'piscina';\nexport const a = Piscina;", `1 ${IMPORTS}`],
    ['src/train/pino.ts', "import pino from 'pino';\nexport const a = pino;", `1 ${IMPORTS}`],
    ['src/tower/atomics.ts', 'Atomics.wait(words, 0, 0);', `1 ${GLOBALS}`],
    ['src/train/port.ts', 'export const f = (port: MessagePort) => port;', `1 ${GLOBALS}`],
    [
      'src/train/channel.ts',
      "import { MessageChannel } from 'node:worker_threads';\nnew MessageChannel();",
      '1 plugin',
    ],
    ['src/train/console.ts', "console.error('a');", `1 ${GLOBALS}`],
    ['src/exchange/console.ts', "console.error('a');", `1 ${GLOBALS}`],
    ['src/cli/stdout.ts', "\nprocess.stdout.write('a');", '2 plugin'],
    ['src/train/stderr.ts', 'export const { stderr } = process;', '1 plugin'],
    ['src/native/raw.ts', "process._rawDebug('a');", '1 plugin'],
    ['src/tower/c-api.ts', 'c.TFE_Execute(op);', '1 plugin'],
    ['src/model/c-api.ts', 'TF_Version;', '1 plugin'],
    ['src/tower/tf.ts', "import * as tf from '@tensorflow/tfjs';\nexport const a = tf;", '1 plugin'],
    ['src/tower/ones.ts', "import { ones } from '@tensorflow/tfjs';\nexport const a = ones;", '1 plugin'],
  ]);
});

test('lint refuses import cycles, also of types, and files of more than 300 lines', (t) => {
  assertFound(t, [
    ['src/data/a.ts', "import { b } from './b.js';\nexport const a = b;", `1 ${CYCLES}`],
    ['src/data/b.ts', "export { a as b } from './c.js';", `1 ${CYCLES}`],
    ['src/data/c.ts', "export { a } from './a.js';", `1 ${CYCLES}`],
    ['src/optim/a.ts', "import { b } from './b.js';\nexport const a = b;", `1 ${CYCLES}`],
    ['src/optim/b.ts', "import type { a } from './a.js';\nexport const b = {} as typeof a;", `1 ${CYCLES}`],
    ['src/model/long.ts', `${'//\n'.repeat(300)}export {};`, `301 ${LINES}`],
  ]);
});
