/** A full disk ends a run with a message. The run can be resumed when the disk has space again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkpointsFolder, newestCheckpoint, stepsIn } from '../../src/checkpoint/store.js';
import { inProcess } from '../cli/in-process.js';
import { fewImages } from '../data/sets.js';
import { withMount } from '../namespaces.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-full-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const LENET = `--preset lenet --data ${fewImages(folder)} --batch-size 16 --lr 0.05 --momentum 0.9 --no-check`;
/** With a thread less, where the number of files in a checkpoint makes no difference. */
const SINGLE = '--placement single --devices CPU:0';
process.chdir(folder); // for trainings in this process

/** Runs a line of the shell in which `train` is the trainer on a small net. */
function shell(line: string) {
  const train = `train() { '${process.execPath}' '${CLI}' train ${LENET} "$@"; }`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', `${train}\n${line}`], { cwd: folder, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const whole = (run: string) => newestCheckpoint(checkpointsFolder(join(folder, run)));

test('train ends with 1 when a checkpoint does not fit, and keeps the one before', async () => {
  const train = (args: string) => inProcess(`train ${LENET} --out . --run small ${args}`.split(' '));
  const good = await train('--steps 4 --checkpoint-every 2 --keep 9');
  assert.deepEqual([good.code, good.stderr], [0, '']);
  // No file may be larger than 200 KiB, and a tower's has 240: the disk, as it were, is full.
  const full = shell('ulimit -f 200; train --out . --run small --resume auto --steps 40 --checkpoint-every 2 --keep 9');
  assert.equal(full.status, 1, full.stderr);
  const folderName = 'small/checkpoints/0000000006';
  assert.match(
    full.stderr,
    new RegExp(
      `^error: Cannot write the checkpoint ${folderName}: EFBIG.*; free some space, or .*--resume continues from it\\n$`,
    ),
  );
  assert.match(full.stdout, /\nfailed: after \d+ steps,/);
  const log = fs
    .readFileSync(join(folder, 'small', 'log.ndjson'), 'utf8')
    .trimEnd()
    .split('\n');
  const end = JSON.parse(log.at(-1)!) as { event: string; status: string; exit_code: number };
  assert.deepEqual([end.event, end.status, end.exit_code], ['run_end', 'failed', 1]);
  assert.deepEqual(stepsIn(checkpointsFolder(join(folder, 'small'))), [2, 4]);
  assert.deepEqual(fs.readdirSync(checkpointsFolder(join(folder, 'small'))), ['0000000002', '0000000004']);
  assert.deepEqual([whole('small').found?.state.step, whole('small').skipped], [4, []]);
  const again = await train('--resume auto --steps 8');
  assert.deepEqual([again.code, again.stderr], [0, '']);
  assert.equal(whole('small').found?.state.step, 8);
});

/** Whether this user may mount a file system that nobody else sees. */
function whyNoMount(): string | false {
  const { status, error } = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', folder]);
  return error || status !== 0 ? 'a small disk cannot be mounted by this user here' : false;
}

test('train ends with 1 if a small disk fills up, and can be resumed on a larger one', { skip: whyNoMount() }, () => {
  const disk = join(folder, 'disk');
  fs.mkdirSync(disk);
  const { status, stderr, stdout } = spawnSync(
    'unshare',
    [
      ...['-m', 'sh', '-c'],
      `train() { '${process.execPath}' '${CLI}' train ${LENET} ${SINGLE} --out disk --run r "$@"; }
       mount -t tmpfs -o size=2500k none disk
       train --steps 2 --keep 9 > /dev/null; echo "exit code $?"
       rm -r disk/r
       train --steps 100000 --checkpoint-every 4 --keep 2 > r.txt & pid=$!
       until grep -sq 'step     20/' r.txt; do sleep 0.05; done
       head -c 4m /dev/zero > disk/other 2> /dev/null
       wait $pid; echo "exit code $?"
       ls -x disk/r/checkpoints
       rm disk/other
       train --resume auto --checkpoint-every 0 --steps 100 > /dev/null; echo "exit code $?"
       tail -n 1 disk/r/log.ndjson`,
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  // A hundred small steps may end no better than the largest class, which is a warning.
  const errors = stderr
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('warning: '));
  assert.equal(errors.length, 2, stderr);
  assert.match(
    errors[0]!,
    /^error: Cannot keep 9 checkpoints in disk\/r\/checkpoints: 2\.\d MiB are free, expected 4\.\d MiB; free some space, keep fewer/,
  );
  // Whichever comes first, a checkpoint or a line of the log.
  assert.match(errors[1]!, /^error: Cannot write the (checkpoint disk\S+: ENOSPC|log disk\S+: the disk is full;)/);
  const [refused, full, kept, resumed, end] = stdout.trimEnd().split('\n');
  assert.deepEqual([refused, full, resumed], ['exit code 1', 'exit code 1', 'exit code 0']);
  const steps = kept!.trim().split(/\s+/);
  assert.ok(steps.length >= 2 && steps.every((each) => /^\d{10}$/.test(each)), kept);
  assert.match(end!, /"event":"run_end","status":"done"/);
});

test('train says at the start that it cannot write to its folder', (t) => {
  const closed = join(folder, 'closed');
  fs.mkdirSync(join(closed, 'r'), { recursive: true });
  fs.chmodSync(join(closed, 'r'), 0o500);
  // Root may write everywhere, but not on a disk that is mounted to be read.
  const mounted = process.getuid?.() === 0 ? withMount(closed, 'ro') : [];
  if ('skip' in mounted) return t.skip(mounted.skip);
  const program = [CLI, 'train', ...LENET.split(' '), '--out', closed, '--run', 'r', '--steps', '2'];
  const [command, ...args] = [...mounted, process.execPath, ...program] as [string, ...string[]];
  const { status, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /^error: Cannot [^\n]*(EACCES|EROFS)[^\n]*\n$/);
});

test('train ends with 1 if its folder is removed meanwhile', () => {
  const { status, stderr } = shell(`
    train ${SINGLE} --out . --run gone --steps 100000 --checkpoint-every 20 > gone.txt 2> gone.err & pid=$!
    until grep -sq 'step     30/' gone.txt; do sleep 0.05; done
    mv gone/checkpoints away
    wait $pid; echo "exit code $?" >> gone.err; cat gone.err >&2`);
  assert.equal(status, 0);
  // It goes while a checkpoint is written, or while that is read again.
  const why = /(ENOENT|when it was read again, [^\n]* is not there)/.source;
  const message = `^error: Cannot write the checkpoint gone/checkpoints/\\d+: ${why}[^\\n]*\\nexit code 1\\n$`;
  assert.match(stderr, new RegExp(message));
});
