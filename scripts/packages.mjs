/** The packages of a clone: which of the lock file's are there, and how npm is asked for them, whatever its settings. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/**
 * Those that the lock file asks for on this machine and npm's own list of what it installed has not, by path. Packages
 * with machine code are optional ones of others, and npm can be set to omit those.
 * @param root the clone.
 */
export function missingPackages(root) {
  const installed = packagesIn(join(root, 'node_modules', '.package-lock.json')) ?? {};
  const wanted = packagesIn(join(root, 'package-lock.json'));
  if (!wanted) return ['all']; // npm says what is wrong with the lock file
  return Object.entries(wanted).flatMap(([path, entry]) => {
    if (path === '' || (entry.optional && !isForThisMachine(entry))) return [];
    const isThere = installed[path]?.version === entry.version && fs.existsSync(join(root, path));
    return isThere ? [] : [path];
  });
}

/** What changes when somebody has npm install something else by hand; not when the clone is copied, as into an image. */
export function listStamp(root) {
  try {
    const list = fs.readFileSync(join(root, 'node_modules', '.package-lock.json'));
    return createHash('sha256').update(list).digest('hex');
  } catch {
    return 'none';
  }
}

function packagesIn(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined; // not there, or half-written: as good as none
  }
}

/** Of an optional package. One without a system is some other package's, which may not be for this machine. */
function isForThisMachine({ os: systems, cpu, libc }) {
  if (!systems || !fits(systems, process.platform) || !fits(cpu, process.arch)) return false;
  return !libc || fits(libc, libcName());
}

function fits(list, value) {
  if (!list) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((each) => each.startsWith('!'));
}

let libc;

/** As npm tells them apart. Node.js looks for it in a report on the whole process, so it is asked once. */
function libcName() {
  if (process.platform !== 'linux') return undefined;
  process.report.excludeNetwork = true; // names of addresses can take seconds
  libc ??= process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
  return libc;
}

/** What somebody's settings must not change: in a terminal, in `.npmrc`, or in the environment of a container. */
const FLAGS = [
  ...['--include=dev', '--include=optional', '--include=peer'], // compiling takes the development packages
  ...['--no-dry-run', '--no-package-lock-only', '--no-global', '--location=project', '--install-strategy=hoisted'],
  ...['--ignore-scripts', '--no-audit', '--no-fund', '--no-progress', '--loglevel=error'],
];

/** Settings that no flag takes back. */
const DROPPED = /^npm_config_(workspaces?|include_workspace_root|only|also|production|optional|omit)$/i;

/**
 * How npm is to be run in the clone. It needs a home folder and a cache; a user without either gets them in `place`,
 * which may be removed afterwards.
 * @returns the command, and its environment.
 */
export function npmCi(place) {
  const { npm_execpath } = process.env;
  // npm says where it is when it started this program.
  const npm = npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, npm_execpath] : ['npm'];
  const machine = [`--os=${process.platform}`, `--cpu=${process.arch}`, ...libcFlag(), ...linksFlag(place)];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !DROPPED.test(name)));
  const home = homeFolder();
  const hasCache = Object.keys(env).some((name) => /^npm_config_cache$/i.test(name));
  if (home === undefined) env.HOME = place;
  else if (!hasCache && !isWritable(join(home, '.npm'))) env.npm_config_cache = join(place, 'cache');
  return { command: [...npm, 'ci', ...FLAGS, ...machine], env };
}

function libcFlag() {
  const name = libcName();
  return name ? [`--libc=${name}`] : [];
}

/** Some disks have no symbolic links (exFAT, a folder that VirtualBox shares), and nothing here needs those of npm. */
function linksFlag(place) {
  const link = join(place, 'link');
  try {
    fs.mkdirSync(place, { recursive: true });
    fs.symlinkSync('nowhere', link);
    fs.rmSync(link);
    return [];
  } catch {
    return ['--no-bin-links'];
  }
}

/** undefined for a user that the system does not know, or knows no home of. */
function homeFolder() {
  try {
    const home = os.homedir();
    return isAbsolute(home) ? home : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a folder can be written, or be made. */
function isWritable(folder) {
  if (!fs.existsSync(folder) && dirname(folder) !== folder) return isWritable(dirname(folder));
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
