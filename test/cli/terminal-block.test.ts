/** Lines that are drawn again in place, on a terminal without a window. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IN_TERMINAL, type InTerminal } from '../../scripts/signals-test.js';
import { collect } from '../../scripts/trainer.js';
import { openBlock, showsUnicode } from '../../src/cli/terminal-block.js';
import { type ScreenOf, terminal } from '../tools.js';

const found = await terminal();
const skip = 'skip' in found && found.skip;

/** The lines of a screen and above it, without those that are empty at the end. */
async function linesOf(screen: ScreenOf): Promise<string[]> {
  await new Promise<void>((resolve) => screen.write('', resolve));
  const lines = Array.from({ length: screen.buffer.active.length }, (_, row) =>
    screen.buffer.active.getLine(row)!.translateToString(true),
  );
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

/** A block on a terminal of 30 columns. */
function blockOn(rows = 20) {
  assert.ok('tool' in found);
  const screen = found.tool(30, rows);
  let text = '';
  let onResize = () => {};
  const block = openBlock({
    write: (added) => {
      text += added;
      screen.write(added);
    },
    get columns() {
      return screen.cols;
    },
    get rows() {
      return screen.rows;
    },
    on: (_, action) => {
      onResize = action;
    },
  });
  return {
    block,
    text: () => text,
    /** Lets what was drawn appear, and the time pass until the next redraw. */
    async lines(): Promise<string[]> {
      await sleep(150);
      return linesOf(screen);
    },
    async resize(columns: number): Promise<void> {
      await linesOf(screen);
      screen.resize(columns, rows);
      onResize();
    },
  };
}

/** Lines that fill the terminal, and a short one. */
const view = (value: number) => (columns: number) => [`${value}`.padEnd(columns - 1, '#'), `last ${value}`];

test('a block is redrawn in place, below lines that scroll, and at most ten times a second', { skip }, async () => {
  const { block, lines, text } = blockOn();
  block.print('before');
  block.draw(view(1));
  for (let value = 2; value < 100; value++) block.draw(view(value));
  assert.deepEqual(await lines(), ['before', `99${'#'.repeat(27)}`, 'last 99']);
  assert.ok(text().split('last').length < 5, text());
  block.print(`a line that is longer than the terminal, ${'x'.repeat(20)}`);
  const wrapped = ['a line that is longer than the', ` terminal, ${'x'.repeat(19)}`, 'x'];
  assert.deepEqual(await lines(), ['before', ...wrapped, `99${'#'.repeat(27)}`, 'last 99']);
  block.draw(() => ['one line']);
  assert.deepEqual(await lines(), ['before', ...wrapped, 'one line']);
  block.draw(view(3));
  block.close();
  block.close();
  block.draw(view(4));
  block.print('after');
  assert.deepEqual(await lines(), ['before', ...wrapped, `3${'#'.repeat(28)}`, 'last 3', 'after']);
  assert.deepEqual([text().split('\u001b[?25l').length, text().split('\u001b[?25h').length], [2, 2]);
});

test('a block leaves nothing behind when the terminal becomes narrower and wider', { skip }, async () => {
  const { block, lines, resize } = blockOn();
  block.print('before');
  block.draw(view(1));
  for (const columns of [12, 7, 25, 60, 8, 30]) {
    await resize(columns);
    assert.deepEqual(await lines(), ['before', '1'.padEnd(columns - 1, '#'), 'last 1'], `${columns}`);
  }
  block.close();
});

test('a block is no higher than the terminal', { skip }, async () => {
  const { block, lines } = blockOn(4);
  for (let value = 0; value < 5; value++) {
    block.draw(() => Array.from({ length: 9 }, (_, i) => `${value} ${i}`));
    assert.deepEqual(
      await lines(),
      [0, 1, 2].map((i) => `${value} ${i}`),
    );
  }
  block.close();
});

test('a block that was never drawn writes no escapes', { skip }, async () => {
  const { block, text } = blockOn();
  block.print('line');
  block.close();
  assert.equal(text(), 'line\n');
});

test('showsUnicode() is for UTF-8 locales, and not for the console of Linux', () => {
  assert.deepEqual(
    [
      { LANG: 'en_US.UTF-8' },
      { LANG: 'C', LC_ALL: 'C.utf8' },
      { LANG: 'C.UTF-8', LC_ALL: 'C' },
      { LANG: 'C.UTF-8', LC_CTYPE: 'POSIX' },
      {},
      { LANG: 'C.UTF-8', TERM: 'linux' },
    ].map(showsUnicode),
    [true, true, false, false, false, false],
  );
});

test('a training in a terminal of 60 columns: its screen, and the cursor after Ctrl-C', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-terminal-'));
  t.after(() => fs.rmSync(out, { recursive: true }));
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const program = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { run, trainModule } from ${url('./stand-ins.js')};
    import { RUN_START, EVAL, RUN_END, trainStep } from ${url('../events.js')};
    async function train(config, { report, signal }) {
      report({ ...RUN_START, steps: 500, run: config.run });
      for (let step = 1; step <= 300; step++) {
        report(trainStep(step));
        await sleep(1);
      }
      report(EVAL);
      console.error('READY');
      const keepAlive = setInterval(() => {}, 1000);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      clearInterval(keepAlive);
      report({ ...RUN_END, status: 'stopped', exit_code: 130 });
      return { exitCode: 130, top1: 0, steps: 300 };
    }
    const argv = ['train', '--run', 'r', '--out', ${JSON.stringify(out)}];
    const { exitCode } = await run(argv, { stdout: process.stdout, env: { LANG: 'C.UTF-8' }, loadTrain: trainModule({ train }) });
    process.exitCode = exitCode;`;
  const shell = 'stty cols 60 rows 20; exec "$0" "$@"';
  const args = [IN_TERMINAL, 'sh', '-c', shell, process.execPath, '--input-type=module', '--eval', program];
  const child = spawn('python3', args, { stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  const { hasPrinted, ended } = collect(child);
  await hasPrinted('READY');
  child.stdin.write('type \\x03\n');
  const { stdout: shown, stderr: said } = await ended;
  assert.deepEqual(JSON.parse(said) as InTerminal, { code: 130, left: [] });
  assert.ok('tool' in found);
  const screen = found.tool(60, 20);
  screen.write(shown.replace('READY\r\n', ''));
  const lines = await linesOf(screen);
  const end = lines.findIndex((line) => line.startsWith('eval at step 3: '));
  assert.ok(end > 0, lines.join('\n'));
  assert.deepEqual(lines.filter((line) => line.includes('300/500')).length, 1, lines.join('\n'));
  assert.match(
    lines.join('\n'),
    /\n#{14}\.{10} {2}300\/500 {2}\d+ s left {2}epoch 1\nloss 2\.3000 {2}▁{28,} {2}top-1 0\.250\n200 images\/s\ntower 0: exchange 18%, wait 24%\n/,
  );
  assert.match(lines.join('\n'), /test top-1 0\.8200 .*\nstopping after this step[\s\S]*stopped: /);
  assert.ok(shown.lastIndexOf('\u001b[?25h') > shown.lastIndexOf('\u001b[?25l'), 'the cursor is shown again');
});
