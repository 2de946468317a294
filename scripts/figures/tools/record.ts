/** Reads and writes `benchmarks/<name>.json`. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { originNow, writeJson } from '../../origin.js';
import type { FigureRecord, Maker } from './figure.js';

const RECORD = z.object({
  date: z.iso.datetime(),
  commit: z.string().min(1),
  cpu: z.string().min(1),
  cores: z.int().positive(),
  memoryGiB: z.int().positive(),
  gpu: z.string().min(1),
  node: z.string().min(1),
  tensorflow: z.string().min(1),
  commands: z.array(z.string().min(1)),
  converted: z.string().optional(),
  result: z.unknown(),
});

const folderIn = (root: string) => join(root, 'benchmarks');
export const recordFile = (name: string) => `benchmarks/${name}.json`;

/** The names of all records. */
export function recordNames(root: string): string[] {
  if (!existsSync(folderIn(root))) return [];
  return readdirSync(folderIn(root)).flatMap((name) => /^(.*)\.json$/.exec(name)?.[1] ?? []);
}

/** @returns undefined if there is no such file. @throws Error if it has not the fields of a record. */
export function readRecord(root: string, name: string): FigureRecord | undefined {
  const file = join(root, recordFile(name));
  if (!existsSync(file)) return undefined;
  const parsed = RECORD.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data as FigureRecord;
  const { path, message } = parsed.error.issues[0]!;
  throw new Error(`${path.join('.')}: ${message}`);
}

export function writeRecord(root: string, { name, commands }: Maker, result: unknown): void {
  mkdirSync(folderIn(root), { recursive: true });
  writeJson(join(root, recordFile(name)), { ...originNow(), commands, result });
}
