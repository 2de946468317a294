/** The packages of a folder (the clone, or `test/tools`): which ones are missing, and how to install them regardless of npm's settings. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { readText, run, SetupFailure, say, writeWhole } from './processes.mjs';

const stampFile = (root) => join(root, 'node_modules', '.alexnet-split-packages');
/** npm's own list of what it has installed. */
const listFile = (root) => join(root, 'node_modules', '.package-lock.json');

/** Identifies the lock file and the kind of machine, because some packages contain machine code. */
export function packagesId(root) {
  return `${hash(readText(join(root, 'package-lock.json')))} ${process.platform}-${process.arch}`;
}

/** Whether npm has installed the packages of the lock file, and its list has not changed since: people run npm by hand too. */
export function isInstalled(root) {
  return readText(stampFile(root)) === stampOf(root);
}

/** Stays the same if the clone is copied with its packages, for example into a container image. */
function stampOf(root) {
  return `${packagesId(root)} ${hash(readText(listFile(root)))}`;
}

/**
 * Installs the packages of a folder's lock file with npm, if some are missing.
 * @param options.title what is installed, for the message.
 * @param options.npmFolder a folder for npm only, which is removed afterwards.
 * @param options.flags more flags for npm.
 * @param options.lock descriptor of the set-up's lock, which npm keeps.
 * @param options.beforeChange called after the stamp is removed and before anything else changes. Throws if nothing may change.
 */
export async function install(root, { title, npmFolder, flags = [], lock, beforeChange = () => {} }) {
  if (missingPackages(root).length > 0) {
    fs.rmSync(stampFile(root), { force: true });
    beforeChange();
    say(`installing ${title} (npm ci)`);
    const { command, env } = npmCi(npmFolder);
    try {
      await run('npm ci', [...command, ...flags], root, lock, env);
    } finally {
      fs.rmSync(npmFolder, { recursive: true, force: true });
    }
    const missing = missingPackages(root);
    if (missing.length > 0) {
      throw new SetupFailure(
        `Cannot continue: npm ci left out ${missing.length} packages (${missing.slice(0, 3).join(', ')}); look for the setting of npm that does so (npm config ls), and remove it`,
      );
    }
  }
  writeWhole(stampFile(root), stampOf(root));
}

/**
 * Returns the paths of the packages that the lock file requires on this machine and that npm's list does not have.
 * Packages with machine code are optional dependencies of others, and settings of npm may omit those.
 */
export function missingPackages(root) {
  const installed = packagesIn(listFile(root)) ?? {};
  const wanted = packagesIn(join(root, 'package-lock.json'));
  if (!wanted) return ['all']; // npm says what is wrong with the lock file
  return Object.entries(wanted).flatMap(([path, entry]) => {
    if (path === '' || (entry.optional && !isForThisMachine(entry))) return [];
    const isThere = installed[path]?.version === entry.version && fs.existsSync(join(root, path));
    return isThere ? [] : [path];
  });
}

function packagesIn(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined; // missing or incomplete
  }
}

/** For optional packages. One without a system is a dependency of another package, which may be for another machine. */
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

/** The C library by npm's names. It is looked up once, because Node.js makes a report on the whole process for it. */
function libcName() {
  if (process.platform !== 'linux') return undefined;
  process.report.excludeNetwork = true; // looking up the names of addresses can take seconds
  libc ??= process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
  return libc;
}

/** These override the user's settings in the environment and in `.npmrc`. */
const FLAGS = [
  ...['--include=dev', '--include=optional', '--include=peer'], // the compiler is a development package
  ...['--no-dry-run', '--no-package-lock-only', '--no-global', '--location=project', '--install-strategy=hoisted'],
  ...['--ignore-scripts', '--no-audit', '--no-fund', '--no-progress', '--loglevel=error'],
];

/** Variables with settings that no flag overrides. */
const DROPPED = /^npm_config_(workspaces?|include_workspace_root|only|also|production|optional|omit)$/i;

/**
 * The command that installs the packages, and its environment.
 * @param place a folder for this command only. It serves as home folder and cache for a user without one.
 */
export function npmCi(place) {
  const { npm_execpath } = process.env;
  // npm sets this variable for the programs that it starts.
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

/** Some disks have no symbolic links (exFAT, a folder shared by VirtualBox). Nothing here needs npm's links. */
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

/** undefined for a user whom the system does not know, or who has no home folder. */
function homeFolder() {
  try {
    const home = os.homedir();
    return isAbsolute(home) ? home : undefined;
  } catch {
    return undefined;
  }
}

/** Whether this user can write to a folder, or can make it. */
function isWritable(folder) {
  if (!fs.existsSync(folder) && dirname(folder) !== folder) return isWritable(dirname(folder));
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function hash(text = '') {
  return createHash('sha256').update(text).digest('hex');
}
