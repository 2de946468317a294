/** pip's settings by the user or the container, and versions of pip that are too old. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { delimiter, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { download } from '../../../src/native/install/pip.js';
import { buildFor, WHEEL_PYTHON } from '../../../src/native/install/wheels.js';
import { folderOf } from '../../data/sets.js';
import { writeZip } from './zip.js';

// The machine's own settings must not change the tests.
for (const name of Object.keys(process.env).filter((each) => each.startsWith('PIP_'))) delete process.env[name];

const BUILD = buildFor(process.platform, process.arch, 'cpu');
const WHEEL = BUILD.wheels[0]!;

function setVariables(t: TestContext, values: Record<string, string>): void {
  const before = { ...process.env };
  Object.assign(process.env, values);
  t.after(() => {
    for (const name of Object.keys(values)) delete process.env[name];
    Object.assign(process.env, before);
  });
}

/** Has pip download the wheel. @param python a shell script to use as python3. @returns the error message. */
async function failure(t: TestContext, python?: string): Promise<string> {
  const folder = folderOf(t, {});
  fs.mkdirSync(join(folder, 'tmp'));
  if (python !== undefined) {
    fs.writeFileSync(join(folder, 'python3'), `#!/bin/sh\n${python}\n`, { mode: 0o755 });
    setVariables(t, { PATH: [folder, process.env.PATH].join(delimiter) });
  }
  const error = await download(WHEEL, BUILD, folder, new AbortController().signal).then(
    () => assert.fail('it was downloaded'),
    (thrown: Error) => thrown,
  );
  assert.equal(error.name, 'SetupError');
  assert.doesNotMatch(error.message, /\n/);
  return error.message;
}

test('download() drops settings of pip for other packages, and keeps those of where wheels come from', async (t) => {
  const kept = {
    ...{ PIP_INDEX_URL: 'https://mirror.example/simple', PIP_CERT: '/etc/ca.pem', PIP_PROXY: 'http://proxy:3128' },
    ...{ PIP_CONFIG_FILE: '/etc/pip.conf', PIP_TRUSTED_HOST: 'mirror.example' },
  };
  const dropped = {
    ...{ PIP_TARGET: '/opt', PIP_USER: '1', PIP_PREFIX: '/opt', PIP_DRY_RUN: '1', PIP_REPORT: 'r', PIP_PYTHON: 'p' },
    ...{ PIP_GLOBAL_OPTION: 'x', PIP_REQUIRE_HASHES: '0', PIP_DEST: '/opt', PIP_LOG: '/no' },
  };
  const changed = { PIP_CONSTRAINT: '/etc/pip/constraint.txt', PIP_QUIET: '3', PIP_REQUIRE_VIRTUALENV: '1' };
  const changes = { PIP_NO_BINARY: ':all:', PIP_REQUIREMENT: '/etc/others.txt' };
  setVariables(t, { ...kept, ...dropped, ...changed, ...changes });
  const file = join(folderOf(t, {}), 'seen');
  await failure(t, `env > ${file}; exit 3`);
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const seen = Object.fromEntries(lines.filter((line) => /^PIP_/.test(line)).map((line) => line.split(/=(.*)/s)));
  assert.deepEqual(seen, {
    ...kept,
    ...{ PIP_CONSTRAINT: '/dev/null', PIP_REQUIREMENT: '/dev/null', PIP_REQUIRE_VIRTUALENV: '0' },
    ...{ PIP_QUIET: '0', PIP_VERBOSE: '0', PIP_NO_BINARY: ':none:' },
  });
});

const pip = spawnSync('python3', ['-m', 'pip', '--version'], { encoding: 'utf8' });
test('download() by the real pip ignores constraints and bans of wheels in the environment and pip.conf', {
  skip: pip.status !== 0 && 'python3 has no pip here',
}, async (t) => {
  const index = folderOf(t, {});
  const tags = `${WHEEL_PYTHON.abi}-${WHEEL_PYTHON.abi}-${BUILD.platforms[0]}`;
  const wheel = join(index, `${WHEEL.project.replaceAll('-', '_')}-${WHEEL.version}-${tags}.whl`);
  writeZip(wheel, [{ path: 'x', bytes: Buffer.from('another file') }]);
  const constraint = join(index, 'constraint.txt');
  fs.writeFileSync(constraint, `${WHEEL.project}==1.15\n`);
  const lines = ['[global]', `constraint = ${constraint}`, 'quiet = 3', '[download]', `no-binary = ${WHEEL.project}`];
  fs.writeFileSync(join(index, 'pip.conf'), lines.join('\n'));
  setVariables(t, {
    ...{ PIP_NO_INDEX: '1', PIP_FIND_LINKS: index, PIP_CONFIG_FILE: join(index, 'pip.conf') },
    ...{ PIP_CONSTRAINT: constraint, PIP_NO_BINARY: WHEEL.project },
  });
  // It found the wheel, which is not the pinned one.
  assert.match(await failure(t), /: pip's package index gives another file than the pinned one; /);
});

test('download() gives the version of a pip that is too old, and how to update it', async (t) => {
  const says = (version: string, words: string) =>
    `case "$*" in *--version) echo "pip ${version} from /usr/lib/python3/dist-packages (python 3.6)"; exit 0;; esac
    cat >&2 <<'WORDS'\n${words}\nWORDS\nexit 2`;
  const old: [version: string, words: string][] = [
    ['9.0.3', '\nUsage:\n  /usr/bin/python3 -m pip download [options]\n\nno such option: --progress-bar'],
    [
      '18.1',
      `No matching distribution found for ${WHEEL.project}==${WHEEL.version} (from -r requirements.txt (line 1))`,
    ],
    ['20.0.2', `ERROR: No matching distribution found for ${WHEEL.project}==${WHEEL.version}`],
  ];
  for (const [version, words] of old) {
    const text = `python3's pip is ${version}, expected 20.3 or newer; update it with python3 -m pip install --upgrade pip, or point`;
    assert.ok((await failure(t, says(version, words))).includes(`: ${text}`), version);
  }
  const unknown = await failure(t, says('20.3.4', 'ERROR: No matching distribution found for x'));
  assert.match(unknown, /: pip says "No matching distribution found for x"; /);
  const words = `ERROR: Cannot install a because these package versions have conflicting dependencies.
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/`;
  assert.match(await failure(t, says('23.2.1', words)), /: pip says "Cannot install a because .* dependencies\."; /);
});
