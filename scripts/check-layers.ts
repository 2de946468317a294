/**
 * Checks the order of the house: which room may import which, that no file imports itself round a corner, where a
 * library may be spoken of, and how long a file may be. `node dist/scripts/check-layers.js [root]`.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripComments } from './strip-comments.js';

const MAX_LINES = 300;

const BASE = ['errors', 'random', 'printable', 'paths'];
/** Of those that wait with a deadline, and of those that are told to end. */
const [WAITS, ENDS] = [['running-time'], ['end-signals']];
/** Of those that read what others wrote, and write where others may have. */
const FILES = [...BASE, 'addon', 'read-json', 'safe-write', 'file-kind'];
const ROOMS = ['model', 'optim', 'exchange', 'data', 'checkpoint', 'native'];

/** What a room may import, besides itself. A file of src/ alone, like errors.ts, is a room of its name. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  index: ['cli', 'train', 'weights', 'tower', 'config', 'log', ...ROOMS, ...BASE],
  cli: ['limits', 'train', 'weights', 'tower', 'config', 'log', ...ROOMS, ...FILES, ...WAITS, ...ENDS],
  train: ['limits', 'weights', 'tower', 'config', 'log', ...ROOMS, ...FILES, ...WAITS, ...ENDS],
  tower: ['config', ...ROOMS, ...BASE, ...WAITS],
  config: ['model', 'optim', 'errors', 'printable', 'paths', 'limits', 'read-json'],
  ...Object.fromEntries(ROOMS.map((room) => [room, BASE])),
  exchange: [...BASE, ...WAITS],
  native: [...FILES, 'limits', ...WAITS, ...ENDS],
  data: [...FILES, ...WAITS],
  checkpoint: FILES,
  weights: ['model', 'checkpoint', ...FILES],
  log: [...BASE, 'safe-write'],
  printable: [],
  paths: ['errors'],
  random: ['errors'],
  'running-time': [],
  'end-signals': [],
  'read-json': ['file-kind'],
  'file-kind': ['printable'],
  limits: [],
  'safe-write': ['errors'],
  errors: [],
  addon: [],
};

/** Floors of a room: a file may import from its own floor, and from those before it. */
const FLOORS: Record<string, readonly string[]> = {
  native: ['install', 'c', 'binding', 'graph', 'layers'],
};

/** Words that belong to a room: what they look like in code, where they may stand, and what they are. */
const WORDS: { word: RegExp; allowed: RegExp; rule: string }[] = [
  { word: /\bkoffi\b|\bTFE?_\w*/g, allowed: /^src\/native\//, rule: "TensorFlow's C API is native's" },
  {
    word: /\bMessagePort\b|\bAtomics\b|\bmsgpackr\b/g,
    allowed: /^src\/exchange\//,
    rule: "messages between threads are exchange's",
  },
  {
    word: /\b[Pp]iscina\b/g,
    allowed: /^src\/(tower\/client\.ts$|checkpoint\/writer\.ts$|data\/)/,
    rule: 'Piscina is for src/tower/client.ts, src/checkpoint/writer.ts and src/data',
  },
  {
    word: /\bconsole\.\w+|\bprocess\.std(out|err)\b|\bprocess\._rawDebug\b/g,
    allowed: /^src\/(cli\/services|cli\/lost-output|native\/install\/(fetch|pip)|native\/c\/load)\.ts$/,
    rule: 'text for people goes through src/cli/printing.ts, by the services',
  },
  { word: /\bpino\b/g, allowed: /^src\/log\.ts$/, rule: 'pino is for src/log.ts' },
  {
    word: /^import (?!type )[^;]* from '@tensorflow\/tfjs'/gm,
    allowed: /^$/,
    rule: "that parses tfjs's bundles for their names, 0.2 s in each thread: import tf = require(…) does not",
  },
];

interface Import {
  line: number;
  /** The imported file, from the root; undefined for a package. */
  file: string | undefined;
  isType: boolean;
}

interface Source {
  path: string;
  /** Without comments. */
  code: string;
  imports: Import[];
}

/**
 * @param root the folder that has `src`.
 * @returns how many files there are, and a line for each violation.
 */
export function checkLayers(root: string): { files: number; violations: string[] } {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => readSource(root, join('src', name).replaceAll('\\', '/')));
  const violations = sources.flatMap((source) => [
    ...longFile(root, source),
    ...wrongRooms(source),
    ...wrongFloors(source),
    ...wrongWords(source),
  ]);
  return { files: sources.length, violations: [...violations, ...cycles(sources)] };
}

function readSource(root: string, path: string): Source {
  const code = stripComments(readFileSync(join(root, path), 'utf8'));
  const found = code.matchAll(
    /^\s*(?:import|export)\s+(type\s)?[^'"`;]*?\bfrom\s*(['"])(.+?)\2|^\s*import\s*(['"])(.+?)\4|\bimport\(\s*(['"])(.+?)\6\s*\)/gm,
  );
  const imports = Array.from(found, (match) => {
    const target = match[3] ?? match[5] ?? match[7] ?? '';
    return {
      line: lineOf(code, match.index + match[0].search(/\S/)),
      file: target.startsWith('.') ? fileOf(root, join(dirname(path), target)) : undefined,
      isType: match[1] !== undefined || hasTypesOnly(match[0]),
    };
  });
  return { path, code, imports };
}

/** `import { type A, type B } from …`: TypeScript drops it when it writes JavaScript, but for the names in braces. */
function hasTypesOnly(statement: string): boolean {
  const names = /^\s*import\s*\{([^}]*)\}/.exec(statement)?.[1]?.split(',') ?? [];
  const given = names.map((name) => name.trim()).filter((name) => name !== '');
  return given.length > 0 && given.every((name) => name.startsWith('type '));
}

/** The source of what an import names by its compiled file. */
function fileOf(root: string, target: string): string {
  const source = target.replaceAll('\\', '/').replace(/\.js$/, '.ts');
  return existsSync(join(root, source)) ? source : target;
}

/** `src/tower/worker.ts` is in the room tower, and `src/cli.ts` in cli. */
function roomOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '');
}

function wrongRooms({ path, imports }: Source): string[] {
  const room = roomOf(path);
  const allowed = MAY_IMPORT[room];
  if (!allowed) return [`${path}:1: a file outside the rooms; known are ${Object.keys(MAY_IMPORT).join(', ')}`];
  return imports.flatMap(({ file, line }) => {
    if (!file) return [];
    const other = file.startsWith('src/') ? roomOf(file) : file;
    if (other === room || allowed.includes(other)) return [];
    return [`${path}:${line}: imports ${file}; ${room} may import ${allowed.join(', ') || 'nothing'}`];
  });
}

function wrongFloors({ path, imports }: Source): string[] {
  const [, room = '', floor = ''] = path.split('/');
  const floors = FLOORS[room];
  const own = floors?.indexOf(floor) ?? -1;
  if (!floors || own < 0) return [];
  return imports.flatMap(({ file, line }) => {
    const other = file?.startsWith(`src/${room}/`) ? floors.indexOf(file.split('/')[2]!) : -1;
    if (other <= own) return [];
    return [`${path}:${line}: imports ${file}; the floors of ${room} are, upwards, ${floors.join(', ')}`];
  });
}

function wrongWords({ path, code }: Source): string[] {
  return WORDS.filter(({ allowed }) => !allowed.test(path)).flatMap(({ word, rule }) =>
    Array.from(code.matchAll(word), (match) => `${path}:${lineOf(code, match.index)}: says ${match[0]}; ${rule}`),
  );
}

function longFile(root: string, { path }: Source): string[] {
  const lines = readFileSync(join(root, path), 'utf8').trimEnd().split('\n').length;
  return lines > MAX_LINES ? [`${path}:${lines}: has ${lines} lines; a file has at most ${MAX_LINES}`] : [];
}

/** One line for each file that can reach itself first, by the shortest way. Imports of types alone do not count. */
function cycles(sources: readonly Source[]): string[] {
  const next = new Map(
    sources.map(({ path, imports }) => [path, imports.filter(({ isType, file }) => !isType && file !== undefined)]),
  );
  const reported = new Set<string>();
  return sources.flatMap(({ path }) => {
    const way = wayBack(path, next);
    if (!way || way.some((each) => reported.has(each))) return [];
    for (const each of way) reported.add(each);
    const line = next.get(path)?.find(({ file }) => file === way[1])?.line ?? 1;
    return [`${path}:${line}: is in the cycle ${way.join(' -> ')}; imports make no cycle`];
  });
}

function wayBack(start: string, next: ReadonlyMap<string, readonly Import[]>): string[] | undefined {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (let way = ways.shift(); way; way = ways.shift()) {
    for (const { file } of next.get(way.at(-1)!) ?? []) {
      if (file === start) return [...way, start];
      if (file === undefined || seen.has(file)) continue;
      seen.add(file);
      ways.push([...way, file]);
    }
  }
  return undefined;
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function main(root: string): number {
  const { files, violations } = checkLayers(root);
  for (const violation of violations) process.stdout.write(`${violation}\n`);
  if (violations.length === 0) process.stdout.write(`layers: ${files} files in order\n`);
  return violations.length === 0 ? 0 : 1;
}

const here = fileURLToPath(import.meta.url);
if (process.argv[1] && realpathSync(process.argv[1]) === here) {
  process.exitCode = main(resolve(process.argv[2] ?? relative(process.cwd(), join(dirname(here), '../..'))));
}
