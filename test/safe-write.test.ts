import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { writeTensors } from '../src/checkpoint/safetensors.js';
import { type Ablation, settingsOf } from '../src/cli/ablation.js';
import { writeAblation } from '../src/cli/ablation-page.js';
import { statisticsOf } from '../src/cli/ablation-statistics.js';
import { continueFolder } from '../src/cli/run-folder.js';
import { resolveConfig } from '../src/config/config.js';
import { openLog } from '../src/log-writer.js';
import {
  assertFileWritable,
  assertFolderWritable,
  makeFolders,
  OVERWRITE,
  openNoFollow,
  replaceFile,
  replaceFolder,
  writeNoFollow,
} from '../src/safe-write.js';
import { keepRunData } from '../src/train/run-data.js';
import { writePng } from '../src/weights/kernels.js';
import { flags, machineWith } from './config/machines.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-own-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('makeFolders() makes what is missing, and fails where the system does', () => {
  const inner = join(folder, 'made', 'below', 'it');
  makeFolders(inner);
  makeFolders(inner);
  assert.ok(fs.statSync(inner).isDirectory());
  fs.writeFileSync(join(inner, 'file'), '');
  assert.throws(() => makeFolders(join(inner, 'file')), { code: 'EEXIST' });
  assert.throws(() => makeFolders(join(inner, 'file', 'x', 'y')), { code: 'ENOTDIR' });
  if (process.platform !== 'linux') return;
  // In a process of its own, because a mistake would be an endless loop.
  const script = `import { makeFolders } from ${JSON.stringify(import.meta.resolve('../src/safe-write.js'))};
    try { makeFolders('/proc/x/y'); } catch ({ code }) { console.log(code); }`;
  const options = { encoding: 'utf8', timeout: 60_000 } as const;
  assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', script], options), 'ENOENT\n');
});

test('replaceFolder() has the old folder or the new one at every moment, and the old one if it fails', (t) => {
  const own = fs.mkdtempSync(join(folder, 'folders-'));
  const [place, finished] = [join(own, 'place'), join(own, 'finished')];
  const put = (text: string) => {
    fs.mkdirSync(finished);
    fs.writeFileSync(join(finished, 'file'), text);
  };
  const contents = () => fs.readdirSync(own).map((name) => fs.readFileSync(join(own, name, 'file'), 'utf8'));
  put('first');
  replaceFolder(finished, place);
  put('second');
  const rename = fs.renameSync;
  const seen: string[][] = [];
  let isBroken = true;
  t.mock.method(fs, 'renameSync', (from: string, to: string) => {
    seen.push(contents().sort()); // what a kill would leave
    if (isBroken && from === finished) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    rename(from, to);
  });
  assert.throws(() => replaceFolder(finished, place), { code: 'EIO' });
  assert.equal(fs.readFileSync(join(place, 'file'), 'utf8'), 'first');
  isBroken = false;
  replaceFolder(finished, place);
  t.mock.restoreAll();
  assert.ok(seen.length >= 4 && seen.every((each) => each.join() === 'first,second'), JSON.stringify(seen));
  assert.deepEqual([fs.readdirSync(own), contents()], [['place'], ['second']]);
});

test('replaceFile() writes a whole file, does not follow a link, and leaves nothing behind if it fails', () => {
  const own = fs.mkdtempSync(join(folder, 'replace-'));
  const file = join(own, 'file');
  for (const text of ['longer', 'short']) {
    replaceFile(file, text);
    assert.equal(fs.readFileSync(file, 'utf8'), text);
  }
  fs.symlinkSync('file', join(own, 'link'));
  replaceFile(join(own, 'link'), 'new');
  assert.equal(fs.readFileSync(file, 'utf8'), 'short', 'what the link led to');
  assert.equal(fs.readFileSync(join(own, 'link'), 'utf8'), 'new');
  fs.mkdirSync(join(own, 'folder'));
  assert.throws(() => replaceFile(join(own, 'folder'), 'x'), { code: /^(EISDIR|ENOTEMPTY|EEXIST)$/ });
  assert.deepEqual(fs.readdirSync(own).sort(), ['file', 'folder', 'link']);
});

test('writeNoFollow() replaces a file, but refuses a link, a pipe and a folder', () => {
  const file = join(folder, 'file');
  for (const text of ['longer', 'short']) {
    writeNoFollow(file, text);
    assert.equal(fs.readFileSync(file, 'utf8'), text);
  }
  const [link, dangling, pipe] = ['link', 'dangling', 'pipe'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  fs.symlinkSync('file', link);
  fs.symlinkSync('none', dangling);
  execFileSync('mkfifo', [pipe]);
  assert.throws(() => writeNoFollow(link, 'x'), {
    message: 'link is a link, expected a plain file, or no file',
    code: 'ELOOP',
  });
  assert.throws(() => writeNoFollow(dangling, 'x'), /^Error: dangling is a link/);
  assert.throws(() => writeNoFollow(pipe, 'x'), /^Error: pipe is not a file, expected a plain file, or no file$/);
  assert.throws(() => openNoFollow(pipe, fs.constants.O_RDWR), /^Error: pipe is not a file/);
  assert.throws(() => openNoFollow(folder, OVERWRITE), { code: 'EISDIR' });
  assert.deepEqual([fs.readFileSync(file, 'utf8'), fs.existsSync(join(folder, 'none'))], ['short', false]);
});

test('no file that a run writes follows a link out of the folder', async () => {
  const victim = join(folder, 'victim');
  const [run, own] = ['r', join(folder, 'r')];
  fs.mkdirSync(own);
  const { config } = resolveConfig([flags({ out: folder, run })], machineWith('CPU:0', 'CPU:1'));
  const linked = (name: string) => join(own, name);
  const picture = { height: 1, width: 1, pixels: new Uint8Array(3) };
  const lists = { variants: [], rows: [], missing: [] };
  const ablation: Ablation = { version: 2, settings: settingsOf(config), ...lists, statistics: statisticsOf([]) };
  const writes: [name: string, write: () => unknown][] = [
    ['log.ndjson', () => openLog(linked('log.ndjson'))],
    ['log.ndjson', () => continueFolder(config)],
    [`config.json.${process.pid}.partial`, () => continueFolder(config)],
    ['ablation.json.part', () => writeAblation(own, ablation)],
    ['classes.json', () => keepRunData(config, ['a'], undefined)],
    ['kernels.png', () => writePng(picture, linked('kernels.png'))],
    [`w.safetensors.${process.pid}.partial`, () => writeTensors(linked('w.safetensors'), [], {}, () => {})],
  ];
  for (const [name, write] of writes) {
    fs.writeFileSync(victim, 'half a line');
    fs.rmSync(linked(name), { force: true });
    fs.symlinkSync('../victim', linked(name));
    await assert.rejects(async () => write(), /is a link, expected a plain/, name);
    assert.equal(fs.readFileSync(victim, 'utf8'), 'half a line', name);
    fs.rmSync(linked(name), { force: true });
  }
});

test('assertFileWritable() and assertFolderWritable() find out what can be written, and change nothing', (t) => {
  const at = fs.mkdtempSync(join(folder, 'try-'));
  const file = join(at, 'file');
  fs.writeFileSync(file, 'mine');
  fs.symlinkSync('yet-to-come', join(at, 'link'));
  execFileSync('mkfifo', [join(at, 'pipe')]);
  const before = fs.readdirSync(at);
  for (const name of ['file', 'new', 'link', 'pipe', 'no/new', 'no/such/new']) assertFileWritable(join(at, name));
  for (const name of ['.', 'new', 'new/below']) assertFolderWritable(join(at, name));
  assert.throws(() => assertFileWritable(join(at, 'file/new')), { code: 'ENOTDIR' });
  assert.throws(() => assertFileWritable(at), { code: 'EISDIR' });
  for (const name of ['file', 'file/new', 'file/new/below']) {
    assert.throws(() => assertFolderWritable(join(at, name)), { code: 'ENOTDIR', message: 'ENOTDIR: not a directory' });
  }
  t.mock.method(fs, 'writeFileSync', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
  assert.throws(() => assertFileWritable(join(at, 'new')), { code: 'ENOSPC' });
  assert.throws(() => assertFolderWritable(join(at, 'new')), { code: 'ENOSPC' });
  t.mock.restoreAll();
  syncBuiltinESMExports();
  assert.deepEqual([fs.readdirSync(at), fs.readFileSync(file, 'utf8')], [before, 'mine']);
});
