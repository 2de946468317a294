import assert from 'node:assert/strict';
import test from 'node:test';
import { PRESETS } from '../../src/config/presets.js';
import { parseSchedule, scheduleText } from '../../src/config/schedule-text.js';

test('parseSchedule() returns the keys that a text gives, and scheduleText() the text', () => {
  const texts: [string, Record<string, unknown>][] = [
    ['constant', { kind: 'constant' }],
    ['steps:25,51,79', { kind: 'steps', epochs: [25, 51, 79] }],
    ['plateau', { kind: 'plateau' }],
    ['plateau:5', { kind: 'plateau', patience: 5 }],
    ['cosine', { kind: 'cosine' }],
    ['cosine:0.0001', { kind: 'cosine', least: 0.0001 }],
    ['linear:0.5', { kind: 'linear', least: 0.5 }],
    ['one-cycle', { kind: 'one-cycle' }],
    ['one-cycle:0.25', { kind: 'one-cycle', rise: 0.25 }],
  ];
  for (const [text, values] of texts) {
    assert.deepEqual(parseSchedule(text), values, text);
    assert.equal(scheduleText(values), text);
  }
  assert.deepEqual(parseSchedule('cosine:1e-4'), { kind: 'cosine', least: 0.0001 });
  const cosine = { kind: 'cosine', least: 0 };
  assert.deepEqual([scheduleText(cosine), scheduleText(cosine, true)], ['cosine:0', 'cosine']);
  assert.equal(scheduleText({ kind: 'cosine', least: 0.1 }, true), 'cosine:0.1');
  assert.equal(scheduleText(PRESETS.mini.optimizer.schedule), 'steps:5');
});

test('parseSchedule() refuses other texts with what it expected', () => {
  const kinds = /is ".*", expected constant, steps:5,8, plateau, cosine, linear, one-cycle$/;
  for (const text of ['', 'cosin', 'Cosine', 'constructor', '__proto__', ':', '5']) {
    assert.throws(() => parseSchedule(text), { name: 'ConfigError', message: kinds }, text);
  }
  const epochs = /expected the epochs after which the rate falls, such as steps:25,51,79$/;
  for (const text of ['steps', 'steps:', 'steps:2,', 'steps:1.5', 'steps:1:2', 'steps:-1', 'steps:a']) {
    assert.throws(() => parseSchedule(text), { name: 'ConfigError', message: epochs }, text);
  }
  for (const text of ['cosine:', 'cosine:x', 'cosine:-1', 'cosine:1:2', 'cosine:0x1'])
    assert.throws(() => parseSchedule(text), { message: /expected cosine or cosine:LEAST, such as/ });
  assert.throws(() => parseSchedule('constant:1'), { message: /expected constant alone$/ });
});
