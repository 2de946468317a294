import assert from 'node:assert/strict';
import test from 'node:test';
import type { Command } from 'commander';
import { OTHER_NAMES, withMeantFlag } from '../../src/cli/other-names.js';
import { buildProgram } from '../../src/cli/program.js';
import { SERVICES } from '../../src/cli/services.js';

const program = buildProgram(SERVICES, () => {});
const commandsOf = (command: Command): Command[] => [command, ...command.commands.flatMap(commandsOf)];
const commands = commandsOf(program);

test('OTHER_NAMES has flags that exist, each under names that are nobody else and no flag of the same command', () => {
  const seen = new Set<string>();
  for (const [ours, others] of Object.entries(OTHER_NAMES)) {
    const having = commands.filter(({ options }) => options.some(({ long }) => long === `--${ours}`));
    assert.ok(having.length > 0, ours);
    for (const name of others.split(' ')) {
      for (const { options } of having)
        assert.ok(!options.some(({ long }) => long === `--${name}`), `${ours}: ${name}`);
      assert.ok(!seen.has(`${ours} ${name}`), name);
      seen.add(`${ours} ${name}`);
    }
  }
});

test('withMeantFlag() leaves other messages, and takes the place of a suggestion', () => {
  const train = commands.find((command) => command.name() === 'train')!;
  for (const message of [
    "unknown command 'tran'",
    "unknown option '--zzz'",
    '',
    "option '--lr <rate>' argument missing",
  ])
    assert.equal(withMeantFlag(message, train), message);
  const suggested = "error: unknown option '--img-size'\n(Did you mean --width?)";
  assert.equal(
    withMeantFlag(suggested, train),
    "error: unknown option '--img-size' (Did you mean --input-size <pixels>?)",
  );
});
