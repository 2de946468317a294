/** The completion scripts, in the shells that are installed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { completedBy } from '../../src/cli/completion.js';
import { buildProgram } from '../../src/cli/program.js';
import { SERVICES } from '../../src/cli/services.js';
import { PRESET_NAMES } from '../../src/config/schema.js';
import { shellWord } from '../../src/printable.js';
import { run } from './stand-ins.js';

const work = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-completion-'));
after(() => fs.rmSync(work, { recursive: true, force: true }));
for (const name of ['big', 'two words', '$(touch pwned)', 'x`touch pwned`', "it's; touch pwned"])
  fs.mkdirSync(join(work, 'runs', name), { recursive: true });
for (const name of ['elsewhere/other', 'else where/inner', 'images'])
  fs.mkdirSync(join(work, name), { recursive: true });
fs.writeFileSync(join(work, 'net.json'), '{}');

/** What was typed before the Tab key, and what is offered. */
const CASES: [words: string[], offered: string[]][] = [
  [['tr'], ['train']],
  [
    ['data', ''],
    ['check', 'fetch', 'help', 'prepare', 'split'],
  ],
  [['train', '--pre'], ['--preset']],
  [
    ['data', 'check', '--re'],
    ['--report', '--resize'],
  ],
  [
    ['train', '--preset', 'im'],
    ['imagenet', 'imagenet-columns', 'imagenet-one-gpu', 'imagenet-paper'],
  ],
  [
    ['train', '--lr', '0.1', '--exchange-dtype', ''],
    ['float16', 'float32'],
  ],
  [
    ['completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  [
    ['eval', '--run', ''],
    ['$(touch pwned)', 'big', "it's; touch pwned", 'two words', 'x`touch pwned`'],
  ],
  [['watch', 'b'], ['big']],
  [['predict', '--out', 'elsewhere', '--run', 'o'], ['other']],
  [['train', '--config', 'n'], ['net.json']],
  [['data', 'check', 'im'], ['images']],
];

async function scriptFor(shell: string): Promise<string> {
  const { exitCode, stdout } = await run(['completion', shell]);
  assert.equal(exitCode, 0);
  const file = join(work, `.script.${shell}`);
  fs.writeFileSync(file, stdout.text);
  return file;
}

/** Runs a script in a shell, with the lines of the cases as its input. @returns what it offers for each. */
function offers(shell: string, argv: readonly string[]): string[][] {
  const input = CASES.map(([words]) => `alexnet-split ${words.join(' ')}\n`).join('');
  const env = { ...process.env, HOME: work, LC_ALL: 'C' };
  const { stdout, stderr, status } = spawnSync(shell, argv, {
    cwd: work,
    encoding: 'utf8',
    input,
    env,
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  assert.ok(!fs.existsSync(join(work, 'pwned')), 'the name of a run is not run');
  const parts = stdout.split(/^== .*\n/m).slice(1);
  assert.equal(parts.length, CASES.length, stdout + stderr);
  return parts.map((part) => [...new Set(part.split('\n').filter((each) => each !== ''))].sort());
}

function skipWithout(shell: string): string | false {
  return spawnSync(shell, ['-c', 'true']).status === 0 ? false : `there is no ${shell} here`;
}

const IN_BASH = `
source "$1" || exit 1
complete -p alexnet-split > /dev/null || exit 1
while IFS= read -r line; do
  echo "== $line"
  IFS=' ' read -r -a COMP_WORDS <<< "$line"
  if [[ $line == *' ' ]]; then COMP_WORDS+=(''); fi
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _alexnet_split
  eval "printf '%s\\n' \${COMPREPLY[*]}" # as the shell reads what is then on its line
done
`;

/** Words as bash gives them: with quotes and backslashes, and three of --flag=value. And what then stands on the line. */
const AS_BASH_SPLITS: [words: string[], offered: string][] = [
  [['train', '--preset', '=', 'le'], 'lenet'],
  [['eval', '--run', 'two\\ w'], 'two\\ words'],
  [['eval', '--run', '"two w'], 'two words'], // bash itself writes it between the quotes
  [['eval', '--run', '=', "'two w"], 'two words'],
  [['eval', '--out', '"else where"', '--run', 'i'], 'inner'],
  [['eval', '--out', '=', 'else\\ where', '--run', 'i'], 'inner'],
];

test('completion in bash offers commands, flags, values, runs and files', { skip: skipWithout('bash') }, async () => {
  const file = await scriptFor('bash');
  const found = offers('bash', ['--norc', '-c', IN_BASH, 'bash', file]);
  assert.deepEqual(
    found,
    CASES.map(([, offered]) => offered),
  );
  for (const [words, offered] of AS_BASH_SPLITS) {
    const split = `source ${file}; COMP_WORDS=(alexnet-split ${words.map(shellWord).join(' ')}); COMP_CWORD=${words.length}; _alexnet_split; echo "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['--norc', '-c', split], { encoding: 'utf8', cwd: work });
    assert.equal(stdout, `${offered}\n`, words.join(' '));
  }
});

const IN_FISH = `
source $argv[1]; or exit 1
while read -l line
  echo "== $line"
  complete -C $line | string replace -r '\\t.*' '' | string trim -r -c /
end
`;

test('completion in fish offers the same', { skip: skipWithout('fish') }, async () => {
  const file = await scriptFor('fish');
  const found = offers('fish', ['--no-config', '-c', IN_FISH, file]);
  assert.deepEqual(
    found,
    CASES.map(([, offered]) => offered),
  );
});

/** For each line a zsh in a terminal of its own, which prints what is offered after the Tab key. */
const IN_ZSH = `
zmodload zsh/zpty || exit 1
while IFS= read -r line; do
  print -r -- "== $line"
  zpty shell zsh -f -i
  zpty -w shell "PROMPT=; autoload -Uz compinit; compinit -u -D; source $1"
  zpty -w shell 'bindkey "^I" complete-word
    compadd () {
      typeset -a offered
      builtin compadd -A offered "$@"
      for each in $offered; do print -r -- "<\${(Q)each}>"; done
      builtin compadd "$@"
    }
    comppostfuncs=(ended)
    ended () { print -r -- "<>"; exit; }
    print READY'
  zpty -r shell seen '*READY*READY*'
  zpty -w -n shell "$line"$'\\t'
  while zpty -r shell seen; do
    [[ $seen == *"<>"* ]] && break
    print -r -- "$seen"
  done | tr -d '\\r' | sed -n 's/.*<\\(.*\\)>.*/\\1/p'
  zpty -d shell
done
`;

test('completion in zsh offers the same', { skip: skipWithout('zsh') }, async () => {
  const file = await scriptFor('zsh');
  const found = offers('zsh', ['-f', '-c', IN_ZSH, 'zsh', file]);
  assert.deepEqual(
    found,
    CASES.map(([, offered]) => offered),
  );
});

test('completion has every command and flag of the program in every script', async () => {
  const all = completedBy(buildProgram(SERVICES, () => {}));
  assert.ok(all.length >= 19);
  for (const shell of ['bash', 'zsh', 'fish']) {
    const text = fs.readFileSync(await scriptFor(shell), 'utf8');
    for (const { path, commands, options } of all) {
      const line = text
        .split('\n')
        .filter((each) => each.includes(shell === 'fish' ? `at "${path}"` : `'${path}') if`));
      const words = new Set(line.join(' ').match(/[\w-]+/g));
      for (const { name } of commands) assert.ok(words.has(name), `${shell}: ${path} ${name}`);
      for (const { name } of options)
        assert.ok(words.has(shell === 'fish' ? name.slice(2) : name), `${shell}: ${path} ${name}`);
    }
    for (const name of PRESET_NAMES) assert.match(text, new RegExp(`[ ']${name}[ ;']`));
  }
});

test('completion refuses another shell', async () => {
  const { exitCode, stderr } = await run(['completion', 'tcsh']);
  assert.deepEqual([exitCode, stderr.lines.length], [2, 1]);
  assert.match(stderr.text, /'tcsh' is invalid for argument 'shell'\. Allowed choices are bash, zsh, fish/);
});
