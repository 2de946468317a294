/**
 * Makes the pictures of reports in `docs/images/`: `node dist/scripts/screenshots.js [FOLDER OF RUNS]`.
 *
 * Runs that are missing in the folder (by default `runs/screenshots`) are trained first: `split`, with two traced steps,
 * `single`, and `ablation`. Needs the browser of the tests, which `npm test -- tools` installs.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TOOLS = join(ROOT, 'test', 'tools');
const IMAGES = join(ROOT, 'docs', 'images');
const MAX_BYTES = 250_000;

const RUNS = {
  split: ['train', '--placement', 'split', '--trace-steps', '100-101'],
  single: ['train', '--placement', 'single'],
  ablation: ['ablate', '--epochs', '3', '--eval-every', '0', '--variants', 'no-norm,no-dropout,columns,tanh'],
};

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
/** Sections that the phones in a picture show, side by side. */
const PHONES = ['summary', 'training', 'step-time', 'kernels'];
const GAP_PIXELS = 24;

/** The parts of Playwright's API that are used. */
interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<T>(code: string): Promise<T>;
  screenshot(options: {
    fullPage?: boolean;
    clip?: { x: number; y: number; width: number; height: number };
  }): Promise<Buffer>;
  close(): Promise<void>;
}
interface Browser {
  newPage(options: object): Promise<Page>;
  close(): Promise<void>;
}

const folder = resolve(process.argv[2] ?? join(ROOT, 'runs', 'screenshots'));
mkdirSync(folder, { recursive: true });
for (const [name, [command, ...args]] of Object.entries(RUNS)) {
  if (!existsSync(join(folder, name))) program(command!, ...args, '--out', folder, '--run', name);
}
// Relative paths: the page shows them.
const [split, single, ablation] = Object.keys(RUNS).map((name) => join(basename(folder), name));
program('report', split!);
program('report', split!, single!, '--out', join(folder, 'compare.html'));
program('report', ablation!, '--out', join(folder, 'ablation.html'));

mkdirSync(IMAGES, { recursive: true });
const { chromium } = createRequire(join(TOOLS, 'package.json'))('playwright-core') as {
  chromium: { launch(options: object): Promise<Browser> };
};
const executablePath = join(TOOLS, 'node_modules', '.chromium', 'chromium');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
try {
  const timeline = 'figure-timeline-0';
  await save('report-desktop.png', await desktop(join(folder, 'split', 'report.html'), { to: timeline }));
  await save(
    'report-time.png',
    await desktop(join(folder, 'split', 'report.html'), { from: 'step-time', to: timeline }),
  );
  await save('report-compare.png', await desktop(join(folder, 'compare.html'), { to: 'step-time' }));
  await save('report-ablate.png', await desktop(join(folder, 'ablation.html'), { to: 'curves' }));
  await save('report-phone.png', await phones(join(folder, 'split', 'report.html')));
} finally {
  await browser.close();
}

function program(...args: string[]): void {
  execFileSync(process.execPath, [join(ROOT, 'dist', 'src', 'cli.js'), ...args], {
    cwd: dirname(folder),
    stdio: 'inherit',
  });
}

async function open(file: string, viewport: { width: number; height: number }, colorScheme: 'light' | 'dark') {
  const page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' });
  await page.goto(pathToFileURL(file).href);
  return page;
}

/** The page from the top of an element, or of the page, to the end of another one. */
async function desktop(file: string, { from, to }: { from?: string; to: string }): Promise<Buffer> {
  const page = await open(file, DESKTOP, 'light');
  const box = (id: string) => `document.getElementById('${id}').getBoundingClientRect()`;
  const y = from === undefined ? 0 : await page.evaluate<number>(`${box(from)}.top - 20`);
  const height = (await page.evaluate<number>(`${box(to)}.bottom + 20`)) - y;
  const picture = await page.screenshot({ fullPage: true, clip: { x: 0, y, width: DESKTOP.width, height } });
  await page.close();
  return picture;
}

/** A phone's screen at each of the sections, light and dark in turn. */
async function phones(file: string): Promise<Buffer> {
  const screens = [];
  for (const [i, section] of PHONES.entries()) {
    const page = await open(file, PHONE, i % 2 === 0 ? 'light' : 'dark');
    if (i > 0) await page.evaluate(`document.getElementById('${section}').scrollIntoView()`);
    screens.push({
      input: await page.screenshot({}),
      left: GAP_PIXELS + i * (PHONE.width + GAP_PIXELS),
      top: GAP_PIXELS,
    });
    await page.close();
  }
  const width = GAP_PIXELS + PHONES.length * (PHONE.width + GAP_PIXELS);
  const create = { width, height: PHONE.height + 2 * GAP_PIXELS, channels: 3, background: '#c9d0d9' } as const;
  return sharp({ create }).composite(screens).png().toBuffer();
}

/** @throws if the picture is too large for the repository. */
async function save(name: string, picture: Buffer): Promise<void> {
  const file = join(IMAGES, name);
  await sharp(picture).png({ palette: true, colours: 128, effort: 10 }).toFile(file);
  const { size } = statSync(file);
  console.log(`${file}: ${size} bytes`);
  if (size > MAX_BYTES) throw new Error(`${name} has ${size} bytes, expected at most ${MAX_BYTES}`);
}
