/** Runs with weights, for tests of the commands that read them. */
import { copyFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeCase } from '../../scripts/pytorch-cases.js';
import { run } from './stand-ins.js';

/** Makes the run `name` of the net lenet in the folder `out`, with weights by a hash. @returns its folder. */
export async function lenetRun(out: string, name: string, ...flags: string[]): Promise<string> {
  await run(['train', '--out', out, '--run', name, '--preset', 'lenet', ...flags]);
  const folder = join(out, name);
  for (const file of writeCase(join(out, '.cases'), 'lenet').towers) copyFileSync(file, join(folder, basename(file)));
  return folder;
}
