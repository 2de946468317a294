import assert from 'node:assert/strict';
import test from 'node:test';
import { namesAfterSplit, splitCard, tensorflowName } from '../../src/config/devices.js';
import { ConfigError } from '../../src/errors.js';

test('splitCard() returns the card whose two logical devices are named, in either order', () => {
  assert.equal(splitCard(['GPU:0/0', 'GPU:0/1']), 0);
  assert.equal(splitCard(['GPU:3/1', 'GPU:3/0']), 3);
  for (const whole of [[], ['CPU:0', 'CPU:1'], ['GPU:0', 'GPU:0'], ['nonsense/']])
    assert.equal(splitCard(whole), undefined);
});

test('splitCard() refuses anything but both halves of one card, and names them', () => {
  const cases: [string[], RegExp][] = [
    [['GPU:0', 'GPU:0/1'], /: GPU:0 is a whole device beside half a card, expected .* --devices GPU:0\/0,GPU:0\/1$/],
    [['GPU:1/0', 'CPU:0'], /: CPU:0 is a whole device beside half a card, .* --devices GPU:1\/0,GPU:1\/1$/],
    [['GPU:0/0', 'GPU:1/1'], /: they are of two cards, /],
    [['GPU:0/1', 'GPU:0/2'], /: a card is split in two, and there is no GPU:0\/2, /],
    [['GPU:0/0', 'GPU:0/1', 'GPU:0/0'], /: they are more than two, /],
    [['GPU:2/1'], /: GPU:2\/1 is there without the card's other half, .* --devices GPU:2\/0,GPU:2\/1$/],
    [['GPU:0/0', 'GPU:0/0'], /: GPU:0\/0 is there without the card's other half, /],
  ];
  for (const [devices, message] of cases) {
    assert.throws(
      () => splitCard(devices),
      (error) => error instanceof ConfigError && message.test(error.message),
      devices.join(),
    );
  }
});

test('tensorflowName() and namesAfterSplit() are inverse: the two halves replace the card in the list', () => {
  // Three cards, of which the second is split: TensorFlow has four.
  const names = namesAfterSplit(['CPU:0', 'CPU:1', 'GPU:0', 'GPU:1', 'GPU:2', 'GPU:3'], 1);
  assert.deepEqual(names, ['CPU:0', 'CPU:1', 'GPU:0', 'GPU:1/0', 'GPU:1/1', 'GPU:2']);
  assert.deepEqual(
    ['GPU:1/0', 'GPU:1/1', 'GPU:0', 'CPU:1'].map((name) => tensorflowName(name)),
    ['GPU:1', 'GPU:2', 'GPU:0', 'CPU:1'],
  );
});
