/** What `--help` prints: groups, defaults, examples, and its width. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Command } from 'commander';
import { defaultText } from '../../src/cli/help.js';
import { buildProgram } from '../../src/cli/program.js';
import { SERVICES } from '../../src/cli/services.js';
import { HEADINGS } from '../../src/config/flags.js';
import { run, Screen } from './stand-ins.js';

const COMMANDS = commandsIn(buildProgram(SERVICES, () => {}));

/** Each command with its arguments: `data check`. */
function commandsIn(parent: Command, path: readonly string[] = []): { argv: readonly string[]; command: Command }[] {
  const inner = parent.commands.flatMap((each) => commandsIn(each, [...path, each.name()]));
  return [{ argv: path, command: parent }, ...inner];
}

async function helpOf(argv: readonly string[], columns?: number): Promise<string> {
  const screen = Object.assign(new Screen(columns !== undefined), columns !== undefined && { columns });
  const { exitCode, stderr } = await run([...argv, '--help'], { stdout: screen });
  assert.deepEqual([exitCode, stderr.text], [0, ''], argv.join(' '));
  return screen.text;
}

test('--help of every command fits 80 columns, on a wide terminal and in a file, and a narrower terminal', async () => {
  assert.ok(COMMANDS.length >= 17, String(COMMANDS.length));
  for (const { argv } of COMMANDS) {
    for (const columns of [undefined, 0, 40, 80, 300]) {
      const long = (await helpOf(argv, columns)).split('\n').filter((line) => line.length > 80);
      assert.deepEqual(long, [], `${argv.join(' ')} at ${columns} columns`);
    }
    assert.equal(await helpOf(argv, 300), await helpOf(argv), 'a wide terminal is used as one of 80 columns');
  }
  const narrow = (await helpOf(['train'], 66)).split('\n').filter((each) => /^ {2}(-| {9})/.test(each));
  assert.equal(Math.max(...narrow.map((line) => line.length)), 66);
});

test('--help gives each option a meaning, and its default or that it is required', async () => {
  for (const { argv, command } of COMMANDS) {
    const help = (await helpOf(argv)).replaceAll(/\s+/g, ' ');
    for (const option of command.options.filter(({ hidden }) => !hidden)) {
      const where = `${argv.join(' ')} ${option.flags}`;
      assert.ok(option.description.length > 5, where);
      const text = defaultText(option);
      const choices = option.argChoices ? `choices: ${option.argChoices.join(', ')}; ` : '';
      const fact = option.mandatory ? ' (required)' : text === undefined ? '' : ` (${choices}default: ${text})`;
      assert.ok(help.includes(`${option.flags} ${option.description}${fact}`), where);
      assert.ok(!option.required || fact !== '', where);
    }
  }
});

test('train --help has its groups in order, each with an example of its own flags', async () => {
  const help = await helpOf(['train']);
  const groups = help.split(/\n\n/).filter((part) => /^[A-Z][a-z ]+:\n {2}-/.test(part));
  assert.deepEqual(
    groups.map((part) => part.split('\n')[0]),
    [...Object.values(HEADINGS), 'Options:'],
  );
  for (const part of groups.slice(0, -1)) {
    const [, example] = /\n {2}Example: alexnet-split train (.*)$/.exec(part) ?? [];
    assert.ok(example, part);
    for (const flag of example.match(/--[\w-]+/g)!) assert.match(part, new RegExp(`^ {2}${flag}( |$)`, 'm'));
  }
});

test('--help of every other command ends with an example', async () => {
  for (const { argv } of COMMANDS.filter(({ argv }) => argv.length > 0)) {
    const name = argv.join(' ');
    assert.match(await helpOf(argv), new RegExp(`(Example: |\nExamples:\n {2})alexnet-split ${name}`), name);
  }
});

test('--help gives the defaults by preset, and those of a trained run for eval', async () => {
  const train = (await helpOf(['train'])).replaceAll(/\s+/g, ' ');
  assert.match(train, /--lr <rate> learning rate [^(]*\(default: 0\.01; mini: 0\.02; lenet: 0\.9; cifar: 0\.001\)/);
  assert.match(train, /--no-crop [^(]*\(default: off; tutorial, lenet, cifar: on\)/);
  const evaluate = (await helpOf(['eval'])).replaceAll(/\s+/g, ' ');
  assert.match(evaluate, /--workers <threads> [^(]*\(default: as it was trained\)/);
  assert.match(evaluate, /--out <folder> [^(]*\(default: runs\)/);
});
