/** docs/cli.md and docs/config.schema.json are what the program says, and every flag is tested. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { referenceFiles } from '../../scripts/cli-reference.js';
import { commandName } from '../../src/cli/help.js';
import { buildProgram } from '../../src/cli/program.js';
import { SERVICES } from '../../src/cli/services.js';
import { FLAGS } from '../../src/config/flags.js';
import { END_SIGNALS, signalExitCode } from '../../src/end-signals.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OPTIONS = optionsIn(buildProgram(SERVICES, () => {}));

function optionsIn(command: Command): { command: string; option: Option }[] {
  const own = command.options
    .filter(({ hidden }) => !hidden)
    .map((option) => ({ command: commandName(command), option }));
  return [...own, ...command.commands.flatMap(optionsIn)];
}

test('docs/cli.md and docs/config.schema.json are up to date', () => {
  for (const { file, text } of referenceFiles())
    assert.equal(fs.readFileSync(file, 'utf8'), text, `${file} is old: run node dist/scripts/cli-reference.js`);
});

/** Where a page defines a flag: rows of tables that begin with it, as `<command> <flags>`. */
function definitions(page: string): string[] {
  const found: string[] = [];
  let section = '';
  for (const line of page.split('\n')) {
    const [, title] = /^### (.*)$/.exec(line) ?? [];
    if (title !== undefined) section = title === 'alexnet-split' ? '' : title;
    const [, flags, rest] = /^\| `((?:-\w, )?--[^`]*)` \|(.*)\|$/.exec(line) ?? [];
    if (flags === undefined) continue;
    const cells = rest!.split(' | ');
    // A row of the settings says at its end which commands take the flag.
    const commands = cells.length === 4 ? cells[3]!.trim().split(', ') : [section];
    for (const each of commands) found.push(`${each} ${flags.replaceAll('\\|', '|')}`);
  }
  return found;
}

test('docs/cli.md defines every flag of every command, once', () => {
  const found = definitions(fs.readFileSync(join(ROOT, 'docs', 'cli.md'), 'utf8'));
  assert.deepEqual(found.sort(), OPTIONS.map(({ command, option }) => `${command} ${option.flags}`).sort());
  assert.ok(found.length > 200 && new Set(found).size === found.length);
});

test('docs/cli.md has every exit code', () => {
  const page = fs.readFileSync(join(ROOT, 'docs', 'cli.md'), 'utf8');
  const section = page.split('\n## Exit codes\n')[1]!.split('\n## ')[0]!;
  const codes = [...section.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, each]) => each!.split(', ').map(Number));
  assert.deepEqual(codes, [0, 1, 2, ...END_SIGNALS.map(signalExitCode).sort()]);
});

test('every flag of a command that is no setting is used in a test', () => {
  const here = fileURLToPath(import.meta.url)
    .replace(/.*test[/\\]/, '')
    .replace(/\.js$/, '.ts');
  const names = fs.readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  const files = names.filter(
    (name) => name.endsWith('.ts') && name !== here && !/node_modules|(help|completion)\.test\.ts$/.test(name),
  );
  const text = files.map((name) => fs.readFileSync(join(ROOT, 'test', name), 'utf8')).join('\n');
  const settings = FLAGS.map(({ name }) => name); // test/cli/flags.test.ts
  const untested = OPTIONS.filter(
    ({ option: { long } }) => !settings.includes(long!) && !new RegExp(`['"\`\\s]${long}['"\`=\\s]`).test(text),
  );
  assert.deepEqual(
    untested.map(({ command, option }) => `${command} ${option.long}`),
    [],
  );
});
