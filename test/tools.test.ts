/** The tools of the tests work, and a test learns why one is missing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { runNode } from './native/child.js';
import { browser, duckdb, type Found, jq, python, toolFile } from './tools.js';

function toolTest<T>(name: string, found: Found<T>, check: (tool: T) => Promise<void> | void): void {
  if ('skip' in found) test(name, { skip: found.skip }, () => {});
  else test(name, () => check(found.tool));
}

toolTest('the browser runs a page of a given width', await browser(), async (tool) => {
  const page = await tool.newPage({ viewport: { width: 390, height: 800 } });
  await page.setContent('<title>page</title><p id=p></p><script>p.textContent = innerWidth</script>');
  assert.equal(await page.textContent('#p'), '390');
  assert.equal(await page.title(), 'page');
  await page.close();
});

toolTest('jq filters lines of JSON', await jq(), async (tool) => {
  assert.equal((await tool('{"a":1}\n{"a":2}\n', 'map(.a) | add', ['-s'])).trim(), '3');
});

toolTest('DuckDB answers SQL', await duckdb(), async (tool) => {
  assert.deepEqual(await tool('SELECT 1 + 1 AS sum'), [{ sum: 2 }]);
});

toolTest('Python imports TensorBoard', await python('tensorboard'), async (tool) => {
  assert.match(await tool('import tensorboard.version; print(tensorboard.version.VERSION)'), /^\d+\.\d+\.\d+\n$/);
});

toolTest('files of packages are found', toolFile('axe-core/axe.min.js'), (tool) => {
  assert.match(readFileSync(tool, 'utf8'), /axe/);
});

const program = (code: string) => [
  '--input-type=module',
  '-e',
  `const tools = await import(${JSON.stringify(new URL('tools.js', import.meta.url).href)}); ${code}`,
];

test('a missing tool is a reason to skip, but in the CI an error', async () => {
  const code = `console.log((await tools.python('no_such_module')).skip, tools.toolFile('none/none.js').skip)`;
  const { stdout, stderr } = await runNode(program(code), { CI: '' });
  assert.match(
    stdout,
    /no_such_module cannot be used \((?:ModuleNotFoundError|spawn python3 ENOENT).*none\/none\.js is not installed/,
    stderr,
  );
  const inCi = await runNode(
    program(`Object.defineProperty(process, 'platform', { value: 'linux' });
      Object.defineProperty(process, 'arch', { value: 'x64' });
      tools.toolFile('none/none.js');`),
    { CI: 'true' },
  );
  assert.equal(inCi.code, 1);
  assert.match(inCi.stderr, /Error: none\/none\.js is not installed in test\/tools/);
});
