import { deepEqual, ok, throws } from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { ExchangeError } from '../../src/errors.js';
import { createMailboxes, Mailbox } from '../../src/exchange/mailbox.js';
import { msgpackTransport } from '../../src/exchange/transport.js';
import { currentBinding, useDevice } from '../../src/native/binding/backend.js';
import { DeviceExchange, messageNotices } from '../../src/tower/exchangers.js';

useDevice('CPU:0');

const PLACE = { site: 'conv3', direction: 'forward' } as const;
const STEP = 7;

describe('DeviceExchange op by op, with notices', () => {
  const { device } = currentBinding();
  const mailboxes = createMailboxes(4096);
  const towers = ([0, 1] as const).map((part) => {
    const transport = msgpackTransport(new Mailbox(mailboxes, part, 50), part);
    const exchange = new DeviceExchange({ own: device, peer: device, name: 'exchangers_test', part });
    const exchanger = exchange.exchanger(false, messageNotices(transport, STEP));
    return { transport, exchange, exchanger };
  });
  const [first, second] = towers as [(typeof towers)[0], (typeof towers)[0]];
  after(() => {
    for (const { exchange } of towers) exchange.dispose();
  });

  it('delivers what was sent, in messages without values', () => {
    // 9 MB in mailboxes of 4 KiB
    const own = tf.randomUniform([1500, 1500]);
    first.exchanger.send(own, PLACE);
    const received = second.exchanger.receive(own.shape, PLACE);
    deepEqual(received.dataSync(), own.dataSync());
    const bytes = first.transport.takeCosts().bytes - own.size * 4;
    ok(bytes > 0 && bytes < 256, `${bytes} bytes of messages`);
    deepEqual(second.transport.takeCosts().bytes, 0);
    tf.dispose([own, received]);
  });

  it('waits for a silent peer as long as with messages with values', () => {
    throws(
      () => second.exchanger.receiveFor([2], PLACE, (tensor) => tensor),
      (error: ExchangeError) => {
        ok(error instanceof ExchangeError && !error.peerFailed);
        deepEqual([error.tower, error.site, error.step], [1, 'conv3', STEP]);
        ok(/tower 0 did not respond for 0\.05 s/.test(error.message), error.message);
        return true;
      },
    );
  });

  it('refuses a tensor of another place or shape', () => {
    const own = tf.zeros([2, 3]);
    first.exchanger.send(own, PLACE);
    throws(
      () => second.exchanger.receive([3, 2], PLACE),
      /tower 1 expected message 2 \(forward at conv3, step 7, \[3,2\], device\) and got message 2 \(.*\[2,3\], device\)/,
    );
    throws(() => second.exchanger.receive([2, 3], { ...PLACE, site: 'fc6' }), /at fc6.*and got .*at conv3/);
    const received = second.exchanger.receive([2, 3], PLACE); // it is still there
    deepEqual(received.shape, [2, 3]);
    tf.dispose([own, received]);
  });
});
