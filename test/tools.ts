/**
 * Programs that only tests use: a browser, jq, DuckDB, pino-pretty, and Python packages. `npm test` installs them before
 * the chosen test files run if one of these imports this file. Each function returns the tool, or why there is none.
 * Then a test is skipped, but on the system of the CI it fails, so that no check is lost without being noticed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { pythonToolsFolder } from '../scripts/test-python.js';
import { ROOT } from './native/child.js';

/** A tool, or the reason to skip the test: `test(name, { skip: 'skip' in found && found.skip }, …)`. */
export type Found<Tool> = { tool: Tool } | { skip: string };

const FOLDER = join(ROOT, 'test', 'tools');
const CHROMIUM = join(FOLDER, 'node_modules', '.chromium', 'chromium');

/** @throws in the CI, where every tool exists. */
function missing(reason: string): { skip: string } {
  if (process.env.CI === 'true' && process.platform === 'linux' && process.arch === 'x64' && hasGlibc()) {
    throw new Error(reason);
  }
  return { skip: reason };
}

/** The C library that the browser needs. */
function hasGlibc(): boolean {
  const { report } = process;
  Object.assign(report!, { excludeNetwork: true }); // looking up the names of addresses can take seconds
  return Object.hasOwn((report!.getReport() as { header: object }).header, 'glibcVersionRuntime');
}

/** The parts of Playwright's API that the tests use. Code for the page is text, because TypeScript's DOM types are absent here. */
export interface Page {
  goto(url: string, options?: { waitUntil?: 'load' | 'networkidle' }): Promise<unknown>;
  setContent(html: string): Promise<void>;
  content(): Promise<string>;
  title(): Promise<string>;
  /** @param code an expression, or a function as text. */
  evaluate<T = unknown>(code: string): Promise<T>;
  addScriptTag(script: { content?: string; path?: string }): Promise<unknown>;
  waitForFunction(code: string, arg?: unknown, options?: { timeout?: number }): Promise<unknown>;
  waitForSelector(selector: string, options?: { state?: 'attached' | 'visible' | 'hidden' }): Promise<unknown>;
  click(selector: string): Promise<void>;
  hover(selector: string): Promise<void>;
  focus(selector: string): Promise<void>;
  fill(selector: string, value: string): Promise<void>;
  textContent(selector: string): Promise<string | null>;
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  emulateMedia(options: {
    media?: 'screen' | 'print';
    colorScheme?: 'light' | 'dark';
    reducedMotion?: 'reduce' | 'no-preference';
    forcedColors?: 'active' | 'none';
  }): Promise<void>;
  screenshot(options?: { path?: string; fullPage?: boolean }): Promise<Buffer>;
  pdf(options?: { format?: string }): Promise<Buffer>;
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  readonly mouse: {
    move(x: number, y: number): Promise<void>;
    down(): Promise<void>;
    up(): Promise<void>;
    wheel(x: number, y: number): Promise<void>;
  };
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  on(event: 'request', listener: (request: { url(): string }) => void): void;
  close(): Promise<void>;
}

export interface PageOptions {
  viewport?: { width: number; height: number };
  /** Pixels of the screen for each pixel of the page. */
  deviceScaleFactor?: number;
  /** Blocks all requests, also to loopback. Pages of files open nevertheless. */
  offline?: boolean;
  javaScriptEnabled?: boolean;
  colorScheme?: 'light' | 'dark';
}

export interface Browser {
  /** A page with storage and settings of its own. */
  newPage(options?: PageOptions): Promise<Page>;
  close(): Promise<void>;
}

let started: Promise<Found<Browser>> | undefined;

/** A headless Chromium, one for each test file. It ends after the file's tests. Call it at the top of the file. */
export function browser(): Promise<Found<Browser>> {
  started ??= (async () => {
    const playwright = await loadTool<{ chromium: { launch(options: object): Promise<Browser> } }>('playwright-core');
    if ('skip' in playwright) return playwright;
    if (!existsSync(CHROMIUM)) return missing(`there is no Chromium for ${process.platform}-${process.arch}`);
    try {
      const args = ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'];
      const tool = await playwright.tool.chromium.launch({ executablePath: CHROMIUM, args });
      after(() => tool.close());
      return { tool };
    } catch (error) {
      return missing(`Chromium does not start: ${(error as Error).message.split('\n')[0]}`);
    }
  })();
  return started;
}

/** The path of a file of a package, such as `axe-core/axe.min.js`. */
export function toolFile(name: string): Found<string> {
  try {
    return { tool: createRequire(join(FOLDER, 'package.json')).resolve(name) };
  } catch {
    return missing(`${name} is not installed in test/tools; npm test says why`);
  }
}

/** Imports a package. A CommonJS package is its `exports`. */
export async function loadTool<Tool>(name: string): Promise<Found<Tool>> {
  const file = toolFile(name);
  if ('skip' in file) return file;
  const module = (await import(pathToFileURL(file.tool).href)) as Tool & { default: Tool };
  return { tool: module.default ?? module };
}

/** @returns what `jq FLAGS FILTER` prints for the text on its stdin. */
export type Jq = (input: string, filter: string, flags?: string[]) => Promise<string>;

export async function jq(): Promise<Found<Jq>> {
  const found = await loadTool<{ raw: Jq }>('jq-wasm');
  return 'skip' in found ? found : { tool: found.tool.raw };
}

/** Runs SQL in a database in memory. @returns the rows, with numbers, texts, booleans and null as values. */
export type Sql = (sql: string) => Promise<Record<string, unknown>[]>;

export async function duckdb(): Promise<Found<Sql>> {
  interface Connection {
    runAndReadAll(sql: string): Promise<{ getRowObjectsJson(): Record<string, unknown>[] }>;
    closeSync(): void;
  }
  interface Duckdb {
    DuckDBInstance: { create(path: string): Promise<{ connect(): Promise<Connection>; closeSync(): void }> };
  }
  let found: Found<Duckdb>;
  try {
    found = await loadTool<Duckdb>('@duckdb/node-api');
  } catch (error) {
    // It has machine code for some systems only.
    return missing(`DuckDB does not load: ${(error as Error).message.split('\n')[0]}`);
  }
  if ('skip' in found) return found;
  const instance = await found.tool.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  after(() => {
    connection.closeSync();
    instance.closeSync();
  });
  return { tool: async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson() };
}

/** A terminal without a window, which wraps its lines again when it becomes narrower, as most do. */
export interface ScreenOf {
  /** Text and escape sequences. @param done is called when they are on the screen. */
  write(text: string, done?: () => void): void;
  resize(columns: number, rows: number): void;
  readonly cols: number;
  readonly rows: number;
  readonly buffer: {
    readonly active: {
      readonly length: number;
      getLine(row: number): { readonly isWrapped: boolean; translateToString(trim: boolean): string } | undefined;
    };
  };
}

export async function terminal(): Promise<Found<(columns: number, rows: number) => ScreenOf>> {
  const found = await loadTool<{ Terminal: new (options: object) => ScreenOf }>('@xterm/headless');
  if ('skip' in found) return found;
  const options = { convertEol: true, scrollback: 1000, allowProposedApi: true };
  return { tool: (cols, rows) => new found.tool.Terminal({ cols, rows, ...options }) };
}

/** Compiles a JSON schema. @returns a function that says whether a value is valid, and keeps what is wrong with the last one. */
export type JsonSchema = (schema: object) => ((value: unknown) => boolean) & { errors?: unknown };

export async function jsonSchema(): Promise<Found<JsonSchema>> {
  const found = await loadTool<{ Ajv: new () => { compile: JsonSchema } }>('ajv');
  if ('skip' in found) return found;
  const validator = new found.tool.Ajv();
  return { tool: (schema) => validator.compile(schema) };
}

/** Runs a Python program. @returns its stdout. */
export type Python = (code: string, ...args: string[]) => Promise<string>;

/** @param module a module that the program needs, of `test/tools/requirements.txt`. */
export async function python(module: string): Promise<Found<Python>> {
  const env = { ...process.env, PYTHONPATH: pythonToolsFolder(FOLDER), PYTHONDONTWRITEBYTECODE: '1' };
  const tool: Python = async (code, ...args) =>
    (await promisify(execFile)('python3', ['-c', code, ...args], { env, maxBuffer: 2 ** 28 })).stdout;
  try {
    await tool(`import ${module}`);
    return { tool };
  } catch (error) {
    const [line] = (error as Error & { stderr?: string }).stderr?.trim().split('\n').slice(-1) ?? [];
    return missing(`Python's ${module} cannot be used (${line || (error as Error).message}); npm test says why`);
  }
}
