/** What the towers send, and what they hold in memory. */
import { towerNames } from '../settings.js';
import { bytes } from '../units.js';
import { type Content, html, table } from './markup.js';
import { list, missing, only, prefix, type Section, type Source } from './section.js';

export function exchange(source: Source): Section {
  const { runs, names, draw } = source;
  const [id, title] = ['exchange', 'Exchange between the towers'];
  const rows = runs.flatMap(({ exchange }, i) =>
    exchange.map((each) => ({ ...each, name: `${prefix(source, i)}${each.site}` })),
  );
  if (rows.length === 0)
    return {
      id,
      title,
      body: html`${missing('The log has no exchanged bytes: the net is on one device, or an older version wrote the log.')}
${networks(source)}`,
    };
  const without = names.filter((_, i) => runs[i]!.exchange.length === 0);
  const total = rows.reduce((sum, each) => sum + each.forward + each.backward, 0);
  return {
    ...{ id, title },
    body: html`${draw(
      {
        ...{
          kind: 'bars',
          id: 'exchange',
          title: 'Bytes by cross-connection',
          unit: 'bytes',
          category: 'cross-connection',
          stacked: false,
        },
        categories: rows.map(({ name }) => name),
        series: [
          { name: 'forward: activations', tone: 'forward', values: rows.map((each) => each.forward) },
          { name: 'backward: gradients', tone: 'exchange', values: rows.map((each) => each.backward) },
        ],
      },
      'Bytes that both towers together send at each cross-connection in one step, forward and backward.',
    )}
${runs.length === 1 && html`<p>Together, ${bytes(total)} in each step.</p>`}
${without.length > 0 && missing(`Without exchange: ${list(without)}.`)}
${networks(source)}`,
  };
}

/** What went from process to process, for runs with devices of servers. */
function networks(source: Source): Content {
  const rows = source.runs.flatMap(({ network }, i) => {
    const { links, steps } = network ?? { links: [], steps: 1 };
    return links.map(({ from, to, counted_bytes: counted, measured_bytes: measured, contents }) => [
      ...[`${prefix(source, i)}${from}`, to, bytes(counted / steps)],
      measured === undefined ? undefined : bytes(measured / steps),
      [...new Set(contents.map(({ what }) => what))].join(', '),
    ]);
  });
  if (rows.length === 0) return false;
  return html`${table('Bytes over the network in a step', ['from', 'to', 'counted', 'measured', 'what'], rows)}
<p>Counted: the values, from the net’s table. Measured: what TCP carried between the coordinator and the servers. What servers send each other cannot be measured from here.</p>`;
}

export function memory(source: Source): Section {
  const { runs, draw } = source;
  const [id, title] = ['memory', 'Memory'];
  const measured = runs.flatMap(({ memory, start }, i) =>
    memory.length > 0 ? [{ memory, nameOf: towerNames(start), i, x: memory.map((each) => each.step) }] : [],
  );
  if (measured.length === 0)
    return { id, title, body: missing('The log has no measurement of memory: an older version wrote it.') };
  const shape = { kind: 'lines', unit: 'bytes', x: 'step' } as const;
  const resident = measured.map(({ memory, i, x }) => ({
    ...{ name: only(source, i, 'resident'), tone: i, x, y: memory.map((each) => each.resident), points: true },
  }));
  const towers = measured.flatMap(({ memory, nameOf, i, x }) =>
    memory[0]!.towers.map((_, t) => ({
      ...{ name: `${prefix(source, i)}${nameOf(t)}`, tone: runs.length > 1 ? i : t, x, points: true, dashed: t > 0 },
      y: memory.map((each) => each.towers[t] ?? null),
    })),
  );
  return {
    ...{ id, title },
    body: html`<div class="figures">
${draw({ ...shape, id: 'resident', title: 'Resident memory', y: 'bytes', lines: resident }, 'Resident memory of the whole process, all threads and TensorFlow included, at each evaluation.')}
${draw({ ...shape, id: 'tensors', title: 'Tensors by tower', y: 'bytes', lines: towers }, 'Bytes of the tensors that each tower holds between two steps: weights, momentum, and the like.')}
</div>`,
  };
}
