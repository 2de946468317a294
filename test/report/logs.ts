/** Logs for tests. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogEvent } from '../../src/log.js';
import { eventWriter } from '../../src/log-writer.js';

/**
 * A log of a real training: `split` and `single` of 30 steps; `resumed`: killed, and resumed from the checkpoint before;
 * `traced`: of 8 steps, the fifth of which is traced.
 */
export function recorded(name: 'split' | 'single' | 'resumed' | 'traced'): string {
  return fileURLToPath(new URL(`../../../test/fixtures/report/${name}.ndjson`, import.meta.url));
}

/** The text of a log, as a run writes it. */
export function logText(events: readonly LogEvent[]): string {
  let text = '';
  const write = eventWriter({
    write(line) {
      text += line;
    },
  });
  events.forEach(write);
  return text;
}

/** The same for events that no run writes. */
export function rawText(events: readonly object[]): string {
  return events.map((event) => `${JSON.stringify({ level: 30, time: 1, ...event, msg: '' })}\n`).join('');
}

/** A folder for the tests of a file, which is removed after them. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-report-'));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files of numbered names. */
export function logFiles(): (content: string | Uint8Array | readonly LogEvent[]) => string {
  const folder = temporaryFolder();
  let number = 0;
  return (content) => {
    const file = join(folder, `${++number}.ndjson`);
    const isText = typeof content === 'string' || content instanceof Uint8Array;
    fs.writeFileSync(file, isText ? content : logText(content));
    return file;
  };
}
