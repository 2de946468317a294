/** The commands for weights, and their flags. */
import { type Command, Option } from 'commander';
import type { Services } from './services.js';

/** Adds a command whose action gets itself; see `program.ts`. */
type Add = (name: string, description: string, run: (command: Command) => Promise<number>) => Command;

/** Adds `export`. */
export function addWeightsCommands(add: Add, services: Services, json: readonly [string, string]): void {
  add('export', "write a run's weights for PyTorch or tfjs", async (command) =>
    (await import('./export.js')).exportCommand(command.opts(), services),
  )
    .requiredOption('--run <run>', 'name of the run, or path of its folder')
    .requiredOption('--out <path>', 'where the weights go: a file, or a folder of tfjs')
    .addOption(
      new Option('--format <format>', 'one file for PyTorch, or a LayersModel of tfjs')
        .choices(['pytorch', 'tfjs'])
        .default('pytorch'),
    )
    .option(...json);
}
