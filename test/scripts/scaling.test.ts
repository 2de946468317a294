/** docs/scaling.md has the tables that the program makes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { scalingPage } from '../../scripts/scaling.js';

test('the tables of docs/scaling.md are those that node dist/scripts/scaling.js writes', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../docs/scaling.md', import.meta.url)), 'utf8');
  assert.equal(scalingPage(text), text);
});
