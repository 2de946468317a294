/** How `--help` looks: 80 columns at most, options in groups, each with its default, and examples that can be typed. */
import { type Command, Help, type Option } from 'commander';
import { HEADINGS } from '../config/flags.js';
import type { Output } from './output.js';

const MAX_COLUMNS = 80;
/** A narrower column of descriptions would be harder to read than lines that the terminal wraps. */
const MIN_COLUMNS = 60;

/** The commands whose settings are in groups, each with an example. */
const WITH_GROUPS = ['train', 'ablate', 'verify', 'summary', 'plan'];

/** Flags of an example for each group of settings. */
const GROUP_EXAMPLES: Record<string, string> = {
  [HEADINGS.run]: '--preset fashion --devices GPU:0,GPU:1',
  [HEADINGS.net]: '--net paper --width 0.5 --no-norm',
  [HEADINGS.data]: '--data images --resize 256 --workers 4',
  [HEADINGS.augmentation]: '--no-flip --brightness 0.2',
  [HEADINGS.training]: '--batch-size 32 --lr 0.005 --schedule cosine',
  [HEADINGS.checkpoints]: '--eval-every 500 --checkpoint-every 5m',
  [HEADINGS.exchange]: '--exchange-dtype float16 --exchange-checksum',
  [HEADINGS.logs]: '--log-every 100',
};

/** Examples of a whole command, by its name after `alexnet-split`. `NAME` is a run's name. */
const EXAMPLES: Record<string, readonly string[]> = {
  ablate: ['ablate --variants no-norm,one-gpu --epochs 2 --seeds 5', 'ablate --variants tanh --set tanh.lr=0.005'],
  plan: [
    'plan --preset mini --rates rates.json',
    'plan --devices a:1/GPU:0,b:1/GPU:0 --link-gbps 10 --gflops 2e4',
    'plan --preset imagenet --data images',
  ],
  verify: ['verify --preset fashion --steps 3'],
  report: ['report NAME', 'report split single --markdown', 'report NAME --follow'],
  watch: ['watch NAME'],
  import: ['import net.safetensors --run theirs', 'import net.safetensors --run named --class-names names.json'],
  eval: ['eval --run NAME --checkpoint best --ten-view', 'eval --run NAME --on train'],
  predict: ['predict --run NAME --top 3 picture.jpg'],
  export: ['export --run NAME --out net.safetensors'],
  kernels: ['kernels --run NAME'],
  data: ['data fetch cifar-10', 'data check images'],
  'data fetch': ['data fetch cifar-10', 'data fetch fashion-mnist --out sets/fashion-mnist'],
  'data check': ['data check images --report problems.json'],
  'data split': ['data split photos --out images --val-share 0.2'],
  'data prepare': ['data prepare images --resize 256 --pack packed'],
  devices: ['devices --json'],
  doctor: ['doctor'],
  accept: ['accept --devices GPU:0,GPU:1'],
  serve: ['serve --address 10.0.0.2:2222 --allow 10.0.0.1'],
  setup: ['setup'],
  schema: ['schema'],
  completion: ['completion bash'],
};

/** The columns that the help may use: those of the terminal, from 60 to 80. */
export function helpWidth({ columns }: Output): number {
  return Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, columns || MAX_COLUMNS)); // some pseudo-terminals have 0 columns
}

/** Overrides of commander's help, which a program's commands inherit. */
export const HELP: Partial<Help> = {
  minWidthToWrap: 20,
  optionDescription: describeOption,
  formatHelp(command, helper) {
    const name = commandName(command);
    helper.formatItemList = (heading, items) => {
      if (items.length === 0) return [];
      const example = WITH_GROUPS.includes(name) ? exampleOf(heading, command) : undefined;
      return [heading, ...items, ...(example ? [`  Example: ${example}`] : []), ''];
    };
    const examples = examplesOf(command).map((each) => `  ${each}\n`);
    const text = Help.prototype.formatHelp.call(helper, command, helper);
    return examples.length === 0 ? text : `${text}\nExamples:\n${examples.join('')}`;
  },
};

/** A command's name after `alexnet-split`: `data check`. Empty for the program. */
export function commandName(command: Command): string {
  const { parent } = command;
  return parent ? `${commandName(parent)} ${command.name()}`.trim() : '';
}

/** Examples of a whole command. */
export function examplesOf(command: Command): string[] {
  return (EXAMPLES[commandName(command)] ?? []).map((each) => `alexnet-split ${each}`);
}

/** The example of a group of settings, if the command has its flags. */
export function exampleOf(heading: string, command: Command): string | undefined {
  const example = GROUP_EXAMPLES[heading];
  const flags = example?.match(/--[\w-]+/g) ?? [];
  const isComplete = flags.every((flag) => command.options.some(({ long }) => long === flag));
  return example !== undefined && isComplete ? `alexnet-split ${commandName(command)} ${example}` : undefined;
}

/** An option's meaning, choices and default. Switches of a command, which set nothing in a config, are off without saying so. */
function describeOption(option: Option): string {
  const { description, argChoices, mandatory } = option;
  const text = defaultText(option);
  const facts = [
    argChoices ? `choices: ${argChoices.join(', ')}` : undefined,
    mandatory ? 'required' : text === undefined ? undefined : `default: ${text}`,
  ].filter((fact) => fact !== undefined);
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`;
}

/** What holds if the option is not typed; undefined for a switch that is then off. */
export function defaultText({ defaultValue, defaultValueDescription, required }: Option): string | undefined {
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  if (!required) return undefined;
  return defaultValue === undefined ? 'none' : String(defaultValue);
}

/**
 * Turns `help data check` into `data check --help`. An unknown name stays the last, so that commander refuses it and names
 * the nearest one.
 */
export function withHelpFlag(program: Command, argv: readonly string[]): readonly string[] {
  const [first, ...names] = argv;
  if (first !== 'help') return argv;
  let command: Command | undefined = program;
  for (const [i, name] of names.entries()) {
    command = command.commands.find((each) => each.name() === name);
    if (!command) return names.slice(0, i + 1);
  }
  return [...names, '--help'];
}
