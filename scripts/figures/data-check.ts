/** What `data check` prints about a folder with good and bad images. */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './tools/commands.js';
import type { Maker } from './tools/figure.js';
import { fenced } from './tools/markdown.js';

const COMMAND = 'npm run data -- check dd';

export const dataCheck: Maker<{ lines: string[] }> = {
  name: 'data-check',
  minutes: 0.1,
  commands: [COMMAND],
  async measure({ folder, run }) {
    const images = join(ROOT, 'test', 'fixtures', 'images');
    const put = (names: readonly string[], part: string, name: string) => {
      const to = join(folder, 'dd', part, name);
      mkdirSync(to, { recursive: true });
      for (const each of names) copyFileSync(join(images, each), join(to, each));
    };
    put(readdirSync(images), 'train', 'a');
    put(['rgb.jpg', 'gray.jpg'], 'train', 'b');
    for (const name of ['a', 'b']) put(['rgb.jpg', 'gray.jpg'], 'val', name);
    const { printed } = await run(COMMAND, [], { mayFail: true });
    return { lines: printed.trim().split('\n') };
  },
  blocks: { 'data-check': ({ lines }) => fenced(...lines) },
};
