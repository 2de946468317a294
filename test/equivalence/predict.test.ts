/** Evaluations and predictions with the weights of one run. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { chooseWeights } from '../../src/checkpoint/choose.js';
import { CheckpointError } from '../../src/errors.js';
import { addProbabilities } from '../../src/train/evaluate.js';
import { openFeed } from '../../src/train/feed.js';
import { evaluateRun, type Prediction, predictFiles, train } from '../../src/train/index.js';
import { openTeam } from '../../src/train/team.js';
import { fewImages } from '../data/sets.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-predict-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const IMAGES = fileURLToPath(new URL('../../../test/fixtures/images/', import.meta.url));

const config = smallConfig({ ...smallNet('original', fewImages(out)), out, run: 'r', steps: 12 });
await train({ ...config, ...SINGLE }, { report: () => {}, signal: new AbortController().signal });
const folder = join(out, 'r');

/** Test images at a size larger than the window. Large batches give the same result in a fraction of the time. */
const more = fewImages(fs.mkdtempSync(join(out, 'more-')), { test: 250 });
const evaluated = { ...config, batchSize: 100, data: { ...config.data, source: more, resize: 74 } };

test('evaluateRun() by ten views differs from the centre, and is the same on one device', async () => {
  const centre = await evaluateRun(evaluated, folder);
  const ten = await evaluateRun(evaluated, folder, { tenView: true });
  assert.equal(ten.images, 250);
  assert.notEqual(ten.loss, centre.loss);
  assert.ok(Math.abs(ten.loss - centre.loss) < 0.2 * centre.loss, `${ten.loss} and ${centre.loss}`);
  const single = await evaluateRun({ ...evaluated, ...SINGLE }, folder, { tenView: true });
  assert.ok(Math.abs(ten.loss - single.loss) < 1e-5, `${ten.loss} and ${single.loss}`);
  assert.deepEqual([single.top1, single.top5], [ten.top1, ten.top5]);
});

test('evaluateRun() refuses ten views of images as large as the window', async () => {
  const small = { ...evaluated, data: { ...evaluated.data, resize: 67 } };
  await assert.rejects(evaluateRun(small, folder, { tenView: true }), /ten views/);
});

function classesOf(prediction: Prediction) {
  assert.ok('classes' in prediction, JSON.stringify(prediction));
  return prediction.classes;
}

for (const views of [1, 10] as const) {
  test(`predictFiles() predicts a file as the net predicts the same image in its data set, by ${views} views`, async () => {
    await asInDataset(views);
  });
}

async function asInDataset(views: 1 | 10): Promise<void> {
  const { dataset, feeder } = await openFeed(config, { views });
  assert.ok(dataset.kind === 'pixels');
  const team = await openTeam(config, feeder);
  await team.ask({ kind: 'load', files: chooseWeights(folder).files });
  const count = config.batchSize;
  const logits = new SharedArrayBuffer(4 * count * 10);
  const expected = new Float64Array(count * 10);
  for (let view = 0; view < views; view++) {
    const batch = await feeder.test(0, view);
    await team.ask({ kind: 'evaluate', slot: batch.slot, count, step: 1 }, logits);
    feeder.release(batch);
    addProbabilities(expected, new Float32Array(logits), 10, 1 / views);
  }
  await team.close();
  await feeder.close();

  const files = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const file = join(out, `${i}.png`);
      const pixels = dataset.test.images.slice(i * 784, (i + 1) * 784);
      await sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
        .png()
        .toFile(file);
      return file;
    }),
  );
  const predictions = await predictFiles(config, folder, files, 10, views === 10);
  assert.deepEqual(
    predictions.map(({ file }) => file),
    files,
  );
  predictions.forEach((prediction, i) => {
    const classes = classesOf(prediction);
    assert.equal(classes.length, 10);
    for (const [place, { name, label, probability }] of classes.entries()) {
      assert.ok(Math.abs(probability - expected[i * 10 + label]!) < 1e-6, `image ${i}, class ${label}`);
      assert.equal(name, dataset.classNames[label]);
      assert.ok(place === 0 || probability <= classes[place - 1]!.probability);
    }
  });
}

test('predictFiles() continues after unreadable files, in batches, and gives the reasons', async () => {
  const names = ['rgb.jpg', 'trunc.jpg', 'gray.jpg', 'empty.jpg', 'html.jpg', 'gone.jpg', '', 'one.jpg', 'cmyk.jpg'];
  const files = [...names, 'png_named_jpeg.JPEG', 'rgb.jpg'].map((name) => join(IMAGES, name));
  const predictions = await predictFiles({ ...config, batchSize: 3 }, folder, files, 2);
  const reasons = predictions.map((each) => ('reason' in each ? each.reason : each.classes.length));
  const page = 'it is an HTML page instead of the file, as of a login or an error: fetch the file itself again';
  assert.deepEqual(reasons, [
    ...[2, 'it is a JPEG image cut short', 2, 'the file is empty', `it is not a JPEG, PNG, GIF or WebP image: ${page}`],
    ...['it is not there', 'it is a folder', 2, 2, 2, 2],
  ]);
  const [first, last] = [classesOf(predictions[0]!), classesOf(predictions.at(-1)!)];
  assert.equal(first[0]!.name, last[0]!.name);
  assert.ok(Math.abs(first[0]!.probability - last[0]!.probability) < 1e-6);
  const viewed = await predictFiles({ ...config, batchSize: 25 }, folder, files, 2, true);
  assert.deepEqual(
    viewed.map((each) => ('reason' in each ? each.reason : each.classes.length)),
    reasons,
  );
});

test('predictFiles() refuses ten views of images no larger than the window', async () => {
  const small = { ...config, data: { ...config.data, resize: config.net.inputSize } };
  await assert.rejects(predictFiles(small, folder, [join(IMAGES, 'rgb.jpg')], 1, true), /Cannot take ten views/);
});

test('predictFiles() reads colours if the net does, and takes the class names that the run saved', async () => {
  const colours = { ...config, data: { ...config.data, source: join(out, 'no-such-data') } };
  const files = ['red', 'blue'].map((colour) => join(out, `${colour}.png`));
  for (const [i, background] of ['#ff0000', '#00004d'].entries()) {
    const create = { width: 90, height: 80, channels: 3, background } as const;
    await sharp({ create }).png().toFile(files[i]!);
  }
  const unnamed = join(out, 'unnamed');
  fs.cpSync(folder, unnamed, { recursive: true });
  fs.rmSync(join(unnamed, 'classes.json'), { force: true });
  const [red, blue] = await predictFiles(colours, unnamed, files, 10);
  const of = (prediction: Prediction, label: number) =>
    classesOf(prediction).find((each) => each.label === label)!.probability;
  assert.ok([0, 1, 2].some((label) => Math.abs(of(red!, label) - of(blue!, label)) > 1e-4));
  assert.equal(classesOf(red!)[0]!.name, String(classesOf(red!)[0]!.label));

  const named = join(out, 'named');
  fs.cpSync(folder, named, { recursive: true });
  fs.writeFileSync(join(named, 'classes.json'), JSON.stringify([...'abcdefghij']));
  const [again] = await predictFiles(colours, named, files, 1);
  assert.equal(classesOf(again!)[0]!.name, 'abcdefghij'[classesOf(red!)[0]!.label]);
  fs.writeFileSync(join(named, 'classes.json'), '{"a": 1}');
  await assert.rejects(
    predictFiles(colours, named, files, 1),
    (error) =>
      error instanceof CheckpointError &&
      /classes\.json: it holds something else, expected a JSON list/.test(error.message),
  );
});

test('predictFiles() refuses settings of a far larger net than that of the weights, before it allocates memory for it', async () => {
  const claims = { ...config, net: { ...config.net, width: 8, inputChannels: 64 }, batchSize: 65536 };
  const before = process.resourceUsage().maxRSS;
  await assert.rejects(predictFiles(claims, folder, Array(10_000).fill('x.png'), 1), (error: unknown) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.match(error.message, /conv1\/kernel has the shape \[11,11,3,\d+\] there, and \[11,11,64,\d+\] in this net/);
    return true;
  });
  assert.ok(process.resourceUsage().maxRSS - before < 2 ** 16, 'took more than 64 MiB'); // KiB
});
