/** The commands for weights, and their flags. */
import { type Command, Option } from 'commander';
import { addFlags, addRunFlags, flagLayer, flagNames, layersOf, numberOrText, pathOf, pathsOf } from './options.js';
import type { Services } from './services.js';

/** Adds a command whose action gets itself; see `program.ts`. */
type Add = (name: string, description: string, run: (command: Command) => Promise<number>) => Command;

/** Adds `predict`, `export`, `import` and `kernels`. */
export function addWeightsCommands(add: Add, services: Services, json: readonly [string, string]): void {
  const predict = add('predict', 'print the classes of image files', async (command) =>
    (await import('./predict.js')).predictCommand(
      command.processedArgs[0],
      flagLayer(command),
      command.opts(),
      services,
    ),
  ).argument('<files...>', 'JPEG, PNG, GIF or WebP images', pathsOf('the image'));
  addRunFlags(addFlags(predict, ['--out', '--devices', '--placement']))
    .option('--top <k>', 'how many classes of each image', numberOrText, 5)
    .option('--ten-view', 'average ten views of each image: corners, middle, and their mirror images')
    .option(...json);

  addRunFlags(
    add('export', "write a run's weights for PyTorch or tfjs", async (command) =>
      (await import('./export.js')).exportCommand(command.opts(), services),
    ),
  )
    .requiredOption('--out <path>', 'where the weights go: a file, or a folder of tfjs', pathOf('--out'))
    .addOption(
      new Option('--format <format>', 'one file for PyTorch, or a LayersModel of tfjs')
        .choices(['pytorch', 'tfjs'])
        .default('pytorch'),
    )
    .option(...json);

  addRunFlags(
    add('kernels', 'draw the kernels of the first layer, and measure their colour by tower', async (command) =>
      (await import('./kernels.js')).kernelsCommand(command.opts(), services),
    ),
  )
    .option(
      '--out <file>',
      "where the picture goes, a PNG; kernels.png in the run's folder without it",
      pathOf('--out'),
    )
    .option(...json);

  const take = add('import', "make a run of another program's weights", async (command) =>
    (await import('./import.js')).importCommand(command.processedArgs[0], layersOf(command), command.opts(), services),
  ).argument('<file>', 'safetensors file of the whole net, in the layouts of PyTorch or Caffe', pathOf('the file'));
  addFlags(take, [...flagNames('net', 'data'), '--placement', '--run', '--out'])
    .addOption(
      new Option('--channel-order <order>', 'colours of the file: red, green, blue, or the other way round')
        .choices(['rgb', 'bgr'])
        .default('rgb'),
    )
    .option('--config <file>', 'JSON file with settings; flags beat it, it beats the preset', pathOf('--config'))
    .option(...json);
}
