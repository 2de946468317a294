/** Towers that use batch slots and mailboxes in place have the same results as with copies. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNode } from '../native/child.js';
import { run } from './borrowing.js';

for (const placement of ['split', 'single'] as const) {
  for (const compile of ['on', 'off'] as const) {
    const isBytes = (placement === 'split') === (compile === 'on');
    const images = isBytes ? 'grey levels' : 'images';
    test(`steps of ${placement}, --compile ${compile}, are the same for borrowed ${images}, whose slot is refilled at once, as for copies`, async () => {
      const [lying, copied] = [
        await run({ placement, compile }, 0, isBytes),
        await run({ placement, compile }, 4, isBytes),
      ];
      assert.ok(lying.size > 10);
      assert.deepEqual([...lying.keys()], [...copied.keys()]);
      for (const [name, bytes] of lying) assert.ok(bytes.equals(copied.get(name)!), name);
    });
  }
}

test('teams that start, fail in a step and end leave nothing behind in the process, with garbage collection', async () => {
  const program = fileURLToPath(new URL('borrowing.js', import.meta.url));
  const { code, signal, stdout, stderr } = await runNode(['--expose-gc', program]);
  assert.deepEqual([code, signal, stdout], [0, null, 'done\n'], stderr);
});
