import assert from 'node:assert/strict';
import test from 'node:test';
import { defaultOf, numbersText } from '../../src/config/defaults.js';
import { FLAGS } from '../../src/config/flags.js';
import { valueAt } from '../../src/config/layers.js';
import { PRESETS } from '../../src/config/presets.js';
import { scheduleText } from '../../src/config/schedule-text.js';

const of = (name: string) => defaultOf(FLAGS.find((flag) => flag.name === name)!);

test('defaultOf() names a value that more than half of the presets have, then the exceptions', () => {
  assert.equal(of('--lr'), '0.01; mini: 0.02; lenet: 0.9; cifar: 0.001');
  assert.equal(of('--crop-group'), '1; imagenet, imagenet-one-gpu, imagenet-columns: 32');
  assert.equal(of('--colour-noise'), '0; imagenet*: 0.1');
  assert.equal(of('--classes'), '10; torchvision, imagenet*: 1000');
  assert.equal(of('--seed'), '1');
});

test('defaultOf() says of a switch whether its effect is there without it', () => {
  assert.equal(of('--flip'), 'on; tutorial, lenet, cifar: off');
  assert.equal(of('--no-flip'), 'off; tutorial, lenet, cifar: on');
  assert.equal(of('--no-norm'), 'off');
  assert.equal(of('--exchange-checksum'), 'off');
});

test('defaultOf() gives words where no preset has a value', () => {
  assert.equal(of('--data'), 'none; fashion, tutorial, lenet: fashion-mnist; mini: embedded; cifar: cifar-10');
  assert.equal(of('--weights'), 'none');
  assert.equal(of('--preset'), 'auto');
});

test('defaultOf() says what every preset has, for each flag', () => {
  for (const flag of FLAGS.filter(({ otherwise }) => otherwise === undefined)) {
    const [common, ...others] = defaultOf(flag)
      .split('; ')
      .map((part) => part.split(': '));
    for (const [name, preset] of Object.entries(PRESETS)) {
      const parts = common!.length === 1 ? others : [common!, ...others];
      const isNamed = ([names]: string[]) =>
        names!.split(', ').some((each) => name === each || (each.endsWith('*') && name.startsWith(each.slice(0, -1))));
      const text = parts.find(isNamed)?.[1] ?? common!.at(0);
      const found = valueAt(preset, flag.path.split('.'));
      const shown = { schedule: (value: unknown) => scheduleText(value, true), numbers: numbersText }[
        flag.kind as string
      ];
      const value = shown ? shown(found) : found;
      const isSwitch = flag.value === undefined;
      const expected = isSwitch ? (value === (flag.kind === 'on') ? 'on' : 'off') : String(value ?? 'none') || 'none';
      assert.equal(text, expected, `${flag.name} ${name}`);
    }
  }
});
