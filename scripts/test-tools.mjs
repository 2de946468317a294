/**
 * Programs that only tests use: a browser, jq, DuckDB and the like (`test/tools/package.json`), and Python packages
 * (`test/tools/requirements.txt`). They are installed before tests that import `test/tools.ts`. If that fails, tests run
 * without them and say what they skip.
 */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { install, isInstalled } from './packages.mjs';
import { readText, run, SetupFailure, say } from './processes.mjs';
import { holdingSetUpLock, npmFolder, refuseIfInUse } from './set-up.mjs';

/** Without a network, npm would try again for two minutes, at each start of the tests. */
const FEW_RETRIES = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000'];

const toolsFolder = (root) => join(root, 'test', 'tools');
const browserFolder = (root) => join(toolsFolder(root), 'node_modules', '.chromium');

/** Whether one of the test files, relative to the clone, imports `test/tools.ts`, or another file that does. */
export function needTools(root, files) {
  const seen = new Set(files);
  // A set's loop also visits what is added during the loop.
  for (const path of seen) {
    if (path === join('test', 'tools.ts')) return true;
    for (const [, name] of (readText(join(root, path)) ?? '').matchAll(/ from '(\.[^']+)\.js'/g)) {
      seen.add(join(dirname(path), `${name}.ts`));
    }
  }
  return false;
}

/** Installs what is missing. Does not throw if that is impossible. Call it before this process counts as a long command. */
export async function installTestTools(root) {
  if (!isReady(root)) {
    await orSay('installing them', () =>
      holdingSetUpLock(root, (lock) => isReady(root) || installPackages(root, lock)),
    );
  }
  const { installPythonTools } = await import(pathToFileURL(join(root, 'dist', 'scripts', 'test-python.js')).href);
  await orSay("installing Python's", () => installPythonTools(toolsFolder(root), say));
}

function isReady(root) {
  return isInstalled(toolsFolder(root)) && (!hasBrowser() || fs.existsSync(browserFolder(root)));
}

async function installPackages(root, lock) {
  const folder = toolsFolder(root);
  const options = { title: "the tests' packages", npmFolder: npmFolder(root), flags: FEW_RETRIES, lock };
  // npm removes what is there, and other tests may be using it.
  const isReplaced = fs.existsSync(join(folder, 'node_modules'));
  const beforeChange = () => isReplaced && refuseIfInUse(root, "install the tests' packages");
  await install(folder, { ...options, beforeChange });
  if (hasBrowser() && !fs.existsSync(browserFolder(root))) await unpackBrowser(root, lock);
}

/** The package of the browser has it for this kind of machine only. */
function hasBrowser() {
  return process.platform === 'linux' && process.arch === 'x64';
}

/** Unpacks it once: its package would do that in the system's temporary folder, for each test file at the same time. */
async function unpackBrowser(root, lock) {
  const folder = browserFolder(root);
  const unfinished = `${folder}.new`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.mkdirSync(unfinished);
  const code = "await (await import('@sparticuz/chromium')).default.executablePath()";
  const command = [process.execPath, '--input-type=module', '-e', code];
  await run("unpacking the tests' browser", command, toolsFolder(root), lock, { ...process.env, TMPDIR: unfinished });
  fs.renameSync(unfinished, folder);
}

async function orSay(action, install) {
  try {
    await install();
  } catch (error) {
    if (!(error instanceof SetupFailure) && error?.name !== 'SetupError' && !error?.syscall) throw error;
    say(`tests that need more programs are skipped, because ${action} failed: ${error.message}`);
  }
}
