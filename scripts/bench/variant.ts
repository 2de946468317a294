/**
 * A variant in a process of its own, as a user's run is: TensorFlow has one context a process, and with it one number of
 * threads. It does a step when it is asked to.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { opThreads } from '../../src/config/devices.js';
import { listDevices } from '../../src/native/c/context.js';
import { type NetSettings, openVariant } from './nets.js';
import type { Variant } from './report.js';

/** Steps before the first that counts: V8 compiles what is called often, and collects what the start has left. */
const WARMUP = 20;

export interface OwnProcess {
  variant: Variant;
  close(): void;
}

/**
 * Starts a variant: `placement/compile/ops/transport`, and after an `@` the threads of an op if it is not to have a run's.
 * @param threads of an op, of those that name none.
 */
export async function startVariant(settings: NetSettings, named: string, threads?: number): Promise<OwnProcess> {
  const [name, own = threads] = named.split('@');
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(settings), name!], {
    env: { ...process.env, ...(own !== undefined && { TF_NUM_INTRAOP_THREADS: String(own) }) },
  });
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${named} ended with ${code}`)));
  const answer = (): Promise<number> => {
    return Promise.race([new Promise<number>((resolve) => child.once('message', resolve)), ended]);
  };
  await answer();
  const run = () => {
    child.send('step');
    return answer();
  };
  const close = () => {
    ended.catch(() => {}); // as asked
    child.kill();
  };
  return { variant: { name: named, run }, close };
}

if (process.send) {
  const [settings, name] = process.argv.slice(2) as [string, string];
  listDevices({ intraOpThreads: opThreads(JSON.parse(settings).table) });
  const { variant } = await openVariant(JSON.parse(settings), name);
  for (let i = 0; i < WARMUP; i++) await variant.run();
  process.on('message', async () => {
    const started = performance.now();
    await variant.run();
    process.send!(performance.now() - started);
  });
  process.send(WARMUP);
}
