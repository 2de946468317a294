/** JPEG files decoded by TensorFlow's kernel. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import { openJpegDecoder } from '../../../src/native/binding/jpeg.js';
import { NativeError, openContext } from '../../../src/native/index.js';
import { IMAGES } from '../../data/sets.js';

/** Must be the first test: there is one context for the whole process. */
test('openJpegDecoder() makes no context, and gives a decoder once there is one', () => {
  assert.equal(openJpegDecoder(), undefined);
  openContext();
  assert.equal(typeof openJpegDecoder(), 'function');
});

test('a decoder gives the pixels of sharp, in every usual sampling and quality, and grey as three channels', async () => {
  openContext();
  const decode = openJpegDecoder()!;
  for (const name of ['rgb.jpg', 'gray.jpg', 'prog.jpg']) {
    const file = readFileSync(join(IMAGES, name));
    assert.deepEqual(Buffer.from(await decode(file)), await sharp(file).toColourspace('srgb').raw().toBuffer(), name);
  }
  const { data, info } = await sharp(join(IMAGES, 'rgb.jpg')).raw().toBuffer({ resolveWithObject: true });
  for (const chromaSubsampling of ['4:4:4', '4:2:0']) {
    for (const quality of [30, 95, 100]) {
      const file = await sharp(data, { raw: info }).jpeg({ quality, chromaSubsampling }).toBuffer();
      assert.deepEqual(
        Buffer.from(await decode(file)),
        await sharp(file).raw().toBuffer(),
        `${chromaSubsampling} ${quality}`,
      );
    }
  }
});

test('a decoder refuses a file that is no image with a NativeError, and goes on', async () => {
  openContext();
  const decode = openJpegDecoder()!;
  await assert.rejects(decode(Buffer.from('no image')), NativeError);
  await assert.rejects(decode(new Uint8Array(0)), NativeError);
  const file = readFileSync(join(IMAGES, 'rgb.jpg'));
  assert.deepEqual(Buffer.from(await decode(file)), await sharp(file).raw().toBuffer());
});

test('a decoder decodes several images at the same time, each to its own pixels', async () => {
  openContext();
  const decode = openJpegDecoder()!;
  const files = ['rgb.jpg', 'gray.jpg', 'prog.jpg'].map((name) => readFileSync(join(IMAGES, name)));
  const alone = [];
  for (const file of files) alone.push(await decode(file));
  const together = await Promise.all(Array.from({ length: 60 }, (_, i) => decode(files[i % 3]!)));
  for (const [i, pixels] of together.entries()) assert.deepEqual(pixels, alone[i % 3]);
});

test('a thread that loads nothing else of TensorFlow decodes with the context of another one', async () => {
  openContext();
  const url = new URL('../../../src/native/binding/jpeg.js', import.meta.url).href;
  const program = `
    import { readFileSync } from 'node:fs';
    import { parentPort, workerData } from 'node:worker_threads';
    const { openJpegDecoder } = await import(workerData.url);
    parentPort.postMessage(await openJpegDecoder()(readFileSync(workerData.file)));`;
  const file = join(IMAGES, 'rgb.jpg');
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
    workerData: { url, file },
  });
  const [pixels] = await once(worker, 'message');
  assert.deepEqual(Buffer.from(pixels), await sharp(file).raw().toBuffer());
});
