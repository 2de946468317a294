/** `npm test` installs the programs that only tests use, and runs without them if that fails. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { FILES, npmCalls, ROOT, readyClone, run, startForever, write } from './clones.js';

const CHROMIUM = 'test/tools/node_modules/@sparticuz/chromium';

/** A clone with a test that uses tools, one that does not, and stand-ins for the browser's package and for pip. */
function cloneWithTools(): Promise<string> {
  return readyClone({
    'tsconfig.json': FILES['tsconfig.json'].replace('"test"]', '"test","scripts"]'),
    'test/tools/package.json': '{ "type": "module" }',
    'test/tools/package-lock.json':
      '{ "packages": { "": {}, "node_modules/@sparticuz/chromium": { "version": "1.0.0" } } }',
    [`${CHROMIUM}/package.json`]: '{ "type": "module", "main": "index.js" }',
    [`${CHROMIUM}/index.js`]: `import fs from 'node:fs';
      export default { executablePath: async () => fs.writeFileSync(process.env.TMPDIR + '/chromium', '') };`,
    'test/tools.ts': `declare const console: any; console.log('tools'); export {};`,
    'test/helper.ts': `import './tools.js'; export * from './tools.js'`,
    'test/uses.test.ts': `import test from 'node:test'; export * from './helper.js'; test('uses', () => {});`,
    'scripts/test-python.ts': `declare const process: any;
      export async function installPythonTools(folder: string, say: (line: string) => void) {
        if (process.env.NO_PIP) throw Object.assign(new Error('Cannot install it'), { name: 'SetupError' });
        say('pip');
      }`,
  });
}

test('a test that imports tools through a helper has them installed, once', async () => {
  const folder = await cloneWithTools();
  const without = await run(folder, ['--test', 'good']);
  assert.equal(without.code, 0, without.stderr);
  assert.ok(!fs.existsSync(join(folder, 'test/tools/npm-calls')));

  const first = await run(folder, ['--test', 'uses']);
  assert.deepEqual([first.code, first.stderr], [0, "installing the tests' packages (npm ci)\npip\n"]);
  assert.match(first.stdout, /tools\n/);
  assert.match(npmCalls(join(folder, 'test/tools'))[0]!, /^ci .*--ignore-scripts/);
  const browser = join(folder, 'test/tools/node_modules/.chromium/chromium');
  assert.equal(fs.existsSync(browser), process.platform === 'linux' && process.arch === 'x64');

  const again = await run(folder, ['--test']);
  assert.deepEqual([again.code, again.stderr], [0, 'pip\n']);
  assert.equal(npmCalls(join(folder, 'test/tools')).length, 1);
});

test('tools are not replaced while other tests may be using them', async () => {
  const folder = await cloneWithTools();
  assert.equal((await run(folder, ['--test', 'uses'])).code, 0);
  const { child: other, ended } = await startForever(folder);
  try {
    const lock = join(folder, 'test/tools/package-lock.json');
    fs.writeFileSync(lock, fs.readFileSync(lock, 'utf8').replace('1.0.0', '1.0.1'));
    const { code, stderr } = await run(folder, ['--test', 'uses']);
    assert.match(stderr, /because installing them failed: Cannot install the tests' packages: process \d+ .*runs from/);
    assert.deepEqual([code, npmCalls(join(folder, 'test/tools')).length], [0, 1]);
  } finally {
    other.kill('SIGINT');
    await ended;
  }
  assert.match((await run(folder, ['--test', 'uses'])).stderr, /^installing the tests' packages/);
});

test('tests run without tools that cannot be installed', async () => {
  const folder = await cloneWithTools();
  write(folder, 'test/tools/npm-fails', '');
  const { code, stdout, stderr } = await run(folder, ['--test', 'uses'], { NO_PIP: 'yes' });
  assert.equal(code, 0);
  assert.match(stdout, /tests 1\n/);
  assert.match(stderr, /npm error E404 no such package/);
  assert.match(stderr, /^tests that need more programs are skipped, because installing them failed: .*npm ci failed/m);
  assert.match(
    stderr,
    /^tests that need more programs are skipped, because installing Python's failed: Cannot install it$/m,
  );
});

test('.ci/run allows no missing tool, unless CI is set to something else', () => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-ci-'));
  try {
    fs.mkdirSync(join(folder, '.ci'));
    fs.copyFileSync(join(ROOT, '.ci', 'run'), join(folder, '.ci', 'run'));
    // It must install nothing on this machine.
    for (const name of ['node', 'npx', 'npm', 'promtool', 'ip', 'apt-get']) {
      fs.writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} with CI=$CI"\n`, { mode: 0o755 });
    }
    const outputWith = (changes: NodeJS.ProcessEnv) => {
      const { CI: _, ...env } = process.env;
      return execFileSync('bash', [join(folder, '.ci', 'run')], {
        ...{ encoding: 'utf8', env: { ...env, PATH: `${folder}:${env.PATH}`, ...changes } },
      });
    };
    for (const name of ['node', 'npx', 'npm']) assert.match(outputWith({}), new RegExp(`^${name} with CI=true$`, 'm'));
    assert.match(outputWith({ CI: 'no' }), /^npm with CI=no$/m);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
