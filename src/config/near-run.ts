/** The run that somebody may have meant who mistyped its name. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { truncate } from '../errors.js';
import { nearest } from '../nearest.js';
import { PRESETS } from './presets.js';

/**
 * The run whose name is the most similar, for a message about one that does not exist.
 * @param name of a run, or a path with a slash in it. @param out the folder of the runs that have names.
 * @returns ` (did you mean mini3?)`; empty if none is similar.
 */
export function nearRun(name: string, out: string = PRESETS.mini.out): string {
  const isPath = /[/\\]/.test(name);
  const folder = isPath ? dirname(name) : out;
  const near = nearest(truncate(basename(name)), namesIn(folder));
  return near === undefined ? '' : ` (did you mean ${isPath ? join(folder, near) : near}?)`;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // the message is about the run
  }
}
