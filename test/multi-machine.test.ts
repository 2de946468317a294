/**
 * docs/multi-machine.md word for word: its commands run on hosts that are network namespaces. Replaced are the addresses, the
 * GPUs (by CPUs) and the preset (by three steps of `lenet`). Every training must have the losses of a local one, bit for bit,
 * which is more than the check at its start would show, so that is left out.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fewImages } from './data/sets.js';
import { environment, ROOT, runNode } from './native/child.js';
import { type Host, type Network, noNetwork, openNetwork } from './network.js';
import { forward, noSsh, startSshd } from './tunnels.js';
import { noWireGuard, wgQuick } from './wireguard.js';

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));
const PAGE = fs.readFileSync(join(ROOT, 'docs/multi-machine.md'), 'utf8');
/** In the place of a preset. */
const IMAGES = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-machines-images-'));
test.after(() => fs.rmSync(IMAGES, { recursive: true, force: true }));
const FEW = ['--data', fewImages(IMAGES), '--batch-size', '40'];
const SHORT = ['lenet', ...FEW, '--steps', '3', '--no-check', '--json'];
const LONG_MS = 60_000;
/** The sections that take the same way as another one. */
const ONLY_ALL = process.env.DOCS !== 'all' && 'DOCS=all npm test -- multi-machine runs it too';

/** `# on a, b and c`, then commands; those `in the background` run until the next heading, as `serve` does. */
interface Block {
  hosts: string[];
  background: boolean;
  commands: string[];
}

/** The page's blocks for a shell, under a heading. Those under `###` follow those before. */
function blocksUnder(heading: string): Block[][] {
  const section = PAGE.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return section.split('\n### ').map((part) =>
    [...part.matchAll(/^```sh\n# on (.*)\n([\s\S]*?)^```/gm)].map(([, where, commands]) => ({
      hosts: where!.replace(', in the background', '').split(/, | and /),
      background: where!.endsWith('in the background'),
      commands: commands!.trimEnd().split('\n'),
    })),
  );
}

/** A fenced block of a kind under a heading. */
function textUnder(heading: string, kind: string): string {
  const section = PAGE.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return new RegExp(`^\`\`\`${kind}\n([\\s\\S]*?)^\`\`\``, 'm').exec(section)![1]!;
}

/** With the addresses of the network, and with what runs here and is quick. */
function adapted(text: string): string {
  return text
    .replace(/\b(10\.0\.0|203\.0\.113)\.(?=\d)/g, '10.198.0.')
    .replaceAll('GPU:', 'CPU:')
    .replaceAll('--preset imagenet --data FOLDER', `--preset ${SHORT.join(' ')}`);
}

/** Runs blocks on the hosts of a network. Each host has a folder, in which its commands run. */
class Runner {
  /** The servers that the next other command waits for. */
  readonly #starting: Promise<void>[] = [];
  readonly #running: { child: ChildProcess; serves: boolean; closed: Promise<unknown[]>; stderr: string }[] = [];

  constructor(
    readonly network: Network,
    readonly folder: string,
  ) {
    const bin = join(folder, 'bin');
    fs.mkdirSync(bin);
    for (const { name } of network.hosts) fs.mkdirSync(this.folderOf(name));
    this.script('alexnet-split', `exec ${process.execPath} ${CLI} "$@"`);
  }

  folderOf(host: string): string {
    return join(this.folder, host);
  }

  /** A program of that name for all hosts. */
  script(name: string, text: string): void {
    fs.writeFileSync(join(this.folder, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }

  /** @returns what the commands that end have printed on stdout. */
  async run({ hosts, background, commands }: Block): Promise<string> {
    let printed = '';
    for (const name of hosts) {
      const host = this.network.host(name);
      const [first = '', ...others] = commands.map(adapted);
      if (first.startsWith('alexnet-split serve')) {
        this.#starting.push(this.#serve(host, first));
        continue;
      }
      await Promise.all(this.#starting.splice(0));
      if (first.startsWith('wg-quick')) await this.#interface(host, first);
      else if (background) for (const command of [first, ...others]) await this.#tunnel(host, command);
      else printed += await this.#exec(host, [first, ...others].join('\n'));
    }
    return printed;
  }

  #options(host: Host) {
    const env = environment({ PATH: `${join(this.folder, 'bin')}:${process.env.PATH}`, TF_NUM_INTRAOP_THREADS: '1' });
    return { cwd: this.folderOf(host.name), env };
  }

  async #exec(host: Host, command: string): Promise<string> {
    const { code, stdout, stderr } = await host.exec('sh', ['-ec', command], this.#options(host));
    assert.equal(code, 0, `${host.name}: ${command}: ${stderr}${stdout.slice(-2000)}`);
    return stdout;
  }

  #start(host: Host, command: string, serves: boolean): ChildProcess {
    const child = host.spawn('sh', ['-ec', `exec ${command}`], {
      ...this.#options(host),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = { child, serves, closed: once(child, 'close'), stderr: '' };
    child.stderr!.on('data', (chunk) => {
      started.stderr += chunk;
    });
    this.#running.push(started);
    return child;
  }

  async #serve(host: Host, command: string): Promise<void> {
    const child = this.#start(host, command, true);
    const [first] = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
    assert.match(String(first), /^serving on /, `${host.name}: ${command}`);
    child.stdout!.resume();
  }

  /** Starts ssh, and waits until it listens where it must. */
  async #tunnel(host: Host, command: string): Promise<void> {
    const [, ...args] = command.split(' ');
    if (noSsh()) forward(this.network, host, args, this.folder);
    else this.#start(host, command, false);
    for (const [, flag, port] of command.matchAll(/-([LR]) \S+?:(\d+):/g)) {
      const at = flag === 'L' ? host : this.network.host(args.at(-1)!);
      await listening(at, port!);
    }
  }

  /** Starts WireGuard. The page has the file of `a`; on another host the two change places in it. */
  async #interface(host: Host, command: string): Promise<void> {
    const names: Record<string, string> = { '1': 'c', '2': 'a', '3': 'b' };
    const own = Object.keys(names).find((each) => names[each] === host.name)!;
    const swap = (each: string) => ({ '2': own, [own]: '2' })[each] ?? each;
    const text = textUnder('WireGuard', 'ini')
      .replace(/(?<=\.\d+\.)(\d)(?=[/:])/g, swap)
      .replace(/<(\w+) key of (\w)>/g, (_, kind: string, of: string) => {
        const number = Object.keys(names).find((each) => names[each] === of)!;
        return fs.readFileSync(join(this.folderOf(names[swap(number)]!), `${kind}.key`), 'utf8').trim();
      });
    const child = wgQuick(host, command, adapted(text), this.folder);
    const [line] = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
    assert.equal(String(line), 'up\n', text);
  }

  /** Ends what runs in the background, or all. A server ends as SIGTERM ends it, and has said only who can reach it. */
  async end(which: 'background' | 'all'): Promise<void> {
    await Promise.allSettled(this.#starting.splice(0));
    const ended = this.#running.filter(({ serves }) => which === 'all' || !serves);
    for (const each of ended) {
      this.#running.splice(this.#running.indexOf(each), 1);
      each.child.kill('SIGTERM');
      const [code] = await each.closed;
      if (!each.serves) continue;
      assert.equal(code, 143, each.stderr);
      assert.match(each.stderr, /^(warning: whoever|only this machine) .*\n$/);
    }
  }
}

async function listening(host: Host, port: string): Promise<void> {
  for (const end = Date.now() + LONG_MS; ; await sleep(20)) {
    const { stdout } = await host.exec('ss', ['-Hltn', `sport = :${port}`]);
    if (stdout.trim() !== '') return;
    assert.ok(Date.now() < end, `nothing listens on port ${port} of ${host.name}`);
  }
}

/** The losses in the lines of `train --json`, as they are written. */
function losses(lines: string): number[] {
  const events = lines.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
  return events.filter(({ event }) => event === 'train_step').map(({ loss }) => loss);
}

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-machines-'));
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('docs/multi-machine.md works word for word', { skip: noNetwork() }, async (t) => {
  const network = await openNetwork({ hosts: ['c', 'a', 'b'] });
  t.after(() => network.close());
  assert.deepEqual(
    network.hosts.map(({ address }) => address),
    ['10.198.0.1', '10.198.0.2', '10.198.0.3'],
  );
  const runner = new Runner(network, folder);
  const local = ['train', '--placement', 'split', '--preset', ...SHORT, '--out', folder];
  const { stdout, stderr } = await runNode([CLI, ...local], { TF_NUM_INTRAOP_THREADS: '1' });
  const expected = losses(stdout);
  assert.equal(expected.length, 3, stderr);

  /** Runs a section. */
  async function follow(heading: string): Promise<void> {
    await runner.end('all'); // if the section before has failed
    let trainings = 0;
    for (const blocks of blocksUnder(heading)) {
      await runner.end('background');
      for (const block of blocks) {
        const printed = await runner.run(block);
        if (!block.commands.some((command) => command.startsWith('alexnet-split train'))) continue;
        assert.deepEqual(losses(printed), expected, `${heading}: ${block.commands.at(-1)}`);
        trainings++;
      }
    }
    assert.ok(trainings > 0);
    await runner.end('all');
  }

  fs.writeFileSync(join(runner.folderOf('c'), 'cluster.json'), adapted(textUnder('On a trusted network', 'json')));
  await t.test('on a trusted network', () => follow('On a trusted network'));
  await t.test('from one of the two', { skip: ONLY_ALL }, () => follow('From one of the two'));

  await t.test('SSH tunnels', async (t) => {
    const without = noSsh();
    if (without) t.diagnostic(`a forwarder takes the place of ssh: ${without}`);
    else runner.script('ssh', startSshd(network, folder));
    await follow('SSH tunnels');
  });

  await t.test('WireGuard', { skip: ONLY_ALL || noWireGuard() }, async () => {
    await follow('WireGuard');
  });
});

test('the systemd unit of docs/multi-machine.md is valid', { skip: noSystemd() }, () => {
  const unit = textUnder('As a service', 'ini');
  const program = /^ExecStart=(\S+) (.*)$/m.exec(unit)!;
  assert.equal(`alexnet-split ${program[2]}`, blocksUnder('On a trusted network')[0]![0]!.commands[0]);
  const file = join(folder, 'alexnet-split.service');
  // The path is checked too.
  fs.writeFileSync(file, unit.replace(program[1]!, process.execPath));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

function noSystemd(): string | false {
  return spawnSync('systemd-analyze', ['--version']).status !== 0 && 'systemd-analyze is not installed';
}
