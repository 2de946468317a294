/** The table of events: NaN and infinities as strings, and the documentation lists every field. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { z } from 'zod';
import { EVENTS, nonFiniteAsStrings } from '../src/log.js';

test('nonFiniteAsStrings() changes only non-finite numbers, at any depth', () => {
  const value = { a: [1, Number.NaN, { b: -Infinity, c: null, d: 'x', e: true }], f: { g: { h: Infinity } } };
  assert.deepEqual(nonFiniteAsStrings(value), {
    a: [1, 'NaN', { b: '-Infinity', c: null, d: 'x', e: true }],
    f: { g: { h: 'Infinity' } },
  });
});

// ---- docs/log-events.md

const DOCS = fs.readFileSync(new URL('../../docs/log-events.md', import.meta.url), 'utf8');

/** The fields' paths, `towers[].device`, with whether they may be absent. */
function fieldsOf(type: z.ZodType, path = '', within = false): Map<string, boolean> {
  const optional = within || type instanceof z.ZodOptional;
  const inner = type instanceof z.ZodOptional ? (type.unwrap() as z.ZodType) : type;
  if (inner instanceof z.ZodArray) return fieldsOf(inner.element as z.ZodType, `${path}[]`, optional);
  if (!(inner instanceof z.ZodObject)) return new Map([[path, optional]]);
  const shape = inner.shape as Record<string, z.ZodType>;
  return new Map(
    Object.entries(shape).flatMap(([key, each]) => [...fieldsOf(each, path === '' ? key : `${path}.${key}`, optional)]),
  );
}

/** What the tables of the documentation have: by event, the fields and whether they may be absent. */
function documented(): Map<string, Map<string, boolean>> {
  const events = new Map<string, Map<string, boolean>>();
  for (const section of DOCS.split(/^## /m).slice(1)) {
    const name = section.match(/^`(\w+)`\n/)?.[1];
    if (name === undefined) continue; // a section about something else
    const rows = [...section.matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$/gm)];
    assert.equal(new Set(rows.map((row) => row[1])).size, rows.length, `${name}: a field stands there twice`);
    events.set(name, new Map(rows.map(([, field, type]) => [field!, type!.includes('may be absent')])));
  }
  return events;
}

test('docs/log-events.md lists every field of EVENTS and nothing else', () => {
  const expected = new Map(Object.entries(EVENTS).map(([name, type]) => [name, fieldsOf(type)]));
  assert.deepEqual(documented(), expected);
});
