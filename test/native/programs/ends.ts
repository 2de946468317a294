/**
 * Uses TensorFlow in two threads, then ends as its argument says: `end` (by itself), `exit` (`process.exit()` while the worker
 * still runs) or `terminate` (`worker.terminate()`).
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { PinnedBinding } from '../../../src/native/binding/binding.js';
import { openContext } from '../../../src/native/c/context.js';
import { AttrType, DataType } from '../../../src/native/c/signatures.js';

function addOnes(device: string): number {
  const binding = new PinnedBinding(openContext(), device);
  const ones = binding.createTensor([1000], DataType.FLOAT, new Float32Array(1000).fill(1));
  const type = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
  const [sum] = binding.executeOp('AddV2', [type], [ones, ones], 1);
  return Number(binding.tensorDataSync(sum!.id)[999]);
}

if (isMainThread) {
  const how = process.argv[2];
  const here = addOnes('CPU:0');
  const worker = new Worker(new URL(import.meta.url), { argv: [how] });
  const [there] = await once(worker, 'message');
  process.stdout.write(`${here} ${there}\n`);
  if (how === 'exit') process.exit(0);
  if (how === 'terminate') await worker.terminate();
} else {
  parentPort?.postMessage(addOnes('CPU:1'));
  if (process.argv[2] !== 'end') setInterval(() => addOnes('CPU:1'), 1);
}
