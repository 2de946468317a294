/** Small clones in which scripts/run.mjs runs, with an `npm` that only links the compiler. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect, wholeLines } from '../../scripts/trainer.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const temporary = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-run-'));
after(() => fs.rmSync(temporary, { recursive: true, force: true }));

/** Records its arguments, and lists what it installs as npm does. */
const NPM = `#!/bin/sh
echo "$@" >> npm-calls
if [ -e npm-fails ]; then echo "npm error E404 no such package" >&2; exit 1; fi
while [ -e npm-waits ]; do sleep 0.05; done
sleep 0.2
mkdir -p node_modules
[ -e node_modules/typescript ] || ln -s "${join(ROOT, 'node_modules', 'typescript')}" node_modules/typescript
cp package-lock.json node_modules/.package-lock.json
`;

export const FILES = {
  'package.json': '{ "type": "module" }',
  'package-lock.json': '{ "packages": { "": {}, "node_modules/typescript": { "version": "7.0.2" } } }',
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      // Without the DOM's types, which take most of the compiler's time.
      ...{ module: 'nodenext', target: 'es2022', lib: ['es2022'], skipLibCheck: true, types: [], strict: true },
      ...{ rootDir: '.', outDir: 'dist' },
      ...{ incremental: true, tsBuildInfoFile: 'dist/.tsbuildinfo' },
    },
    include: ['src', 'test'],
  }),
  'src/cli.ts': `declare const process: any, console: any, setInterval: any, clearInterval: any;
    console.log('cli', ...process.argv.slice(2));
    if (process.argv.includes('seven')) process.exitCode = 7;
    if (process.argv.includes('forever')) {
      const timer = setInterval(() => {}, 1000);
      await new Promise((resolve) => process.once('SIGINT', resolve));
      clearInterval(timer);
      console.log('ended');
    }
    export {};`,
  'src/end-signals.ts': 'declare const process: any; export const isIgnored = () => process.env.NOHUP === "yes";',
  'src/limits.ts': 'declare const process: any; export const usableCores = () => Number(process.env.CORES ?? 1);',
  'src/native/install/file-lock.ts': `const real: string = ${JSON.stringify(new URL('../../src/native/install/file-lock.js', import.meta.url).href)};
    export const { lockFile } = await import(real);`,
  'src/cli/npm.ts': 'export const userFolder = () => undefined;',
  'src/native/install/fetch.ts': `declare const process: any, console: any;
    export async function ensureLibrary() {
      if (process.env.NO_LIBRARY) throw Object.assign(new Error('Cannot fetch'), { name: 'SetupError' });
      console.log('library');
    }`,
  'test/good.test.ts': `import test from 'node:test'; test('good() passes', () => {}); export {};`,
};

let clones = 0;

/** A new clone, with nothing installed. */
export function clone(files: Record<string, string> = {}): string {
  const folder = join(temporary, `clone${++clones}`);
  const types = { 'src/node.d.ts': `declare module 'node:test' { const test: any; export default test; }` };
  for (const [path, text] of Object.entries({ ...FILES, ...types, ...files })) write(folder, path, text);
  write(folder, 'bin/npm', NPM);
  fs.chmodSync(join(folder, 'bin/npm'), 0o755);
  fs.cpSync(join(ROOT, 'scripts'), join(folder, 'scripts'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  return folder;
}

let original: Promise<string> | undefined;

/** A new clone that is set up. It costs little, because it is copied from one that is made once. */
export async function readyClone(files: Record<string, string> = {}): Promise<string> {
  original ??= (async () => {
    const folder = clone();
    const { code, stderr } = await run(folder, ['--build']);
    assert.equal(code, 0, stderr);
    return folder;
  })();
  const folder = join(temporary, `clone${++clones}`);
  // The copy keeps the times of the sources, which show whether they are compiled.
  fs.cpSync(await original, folder, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  for (const [path, text] of Object.entries(files)) write(folder, path, text);
  return folder;
}

export function write(folder: string, path: string, text: string): void {
  const file = join(folder, path);
  fs.mkdirSync(dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

/** @param flags flags for Node.js. @param by a command that starts Node.js. */
export function start(
  folder: string,
  args: string[],
  extraEnv: NodeJS.ProcessEnv = {},
  flags: readonly string[] = [],
  by: readonly string[] = [],
): ChildProcess {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...extraEnv,
    PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter),
  };
  for (const name of ['npm_execpath', 'NODE_TEST_CONTEXT', 'NODE_OPTIONS']) delete env[name];
  const [first, ...rest] = [...by, process.execPath, ...flags, 'scripts/run.mjs', ...args];
  return spawn(first!, rest, { cwd: folder, env });
}

export async function finished(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await collect(child).ended;
  return { code, stdout, stderr };
}

/** Starts a command that runs until SIGINT, and waits until it runs. */
export async function startForever(folder: string) {
  const child = start(folder, ['train', 'forever']);
  const { hasPrinted, ended } = collect(child);
  await hasPrinted('forever');
  return { child, ended };
}

export const run = (...args: Parameters<typeof start>) => finished(start(...args));

export function npmCalls(folder: string): string[] {
  return wholeLines(join(folder, 'npm-calls'));
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
