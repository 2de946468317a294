/**
 * Writes what docs/ has of the command line from the program itself: the second part of `docs/cli.md`, and
 * `docs/config.schema.json`. `node dist/scripts/cli-reference.js`
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { commandName, defaultText, exampleOf, examplesOf } from '../src/cli/help.js';
import { buildProgram } from '../src/cli/program.js';
import { SERVICES } from '../src/cli/services.js';
import { defaultOf } from '../src/config/defaults.js';
import { FLAGS, type Flag, HEADINGS } from '../src/config/flags.js';
import { configJsonSchema } from '../src/config/json-schema.js';
import { isEntry } from './trainer.js';

/** Above it people write, below it this file does. */
const MARK = '<!-- The rest is written by scripts/cli-reference.ts -->\n';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));

/** The files of docs/ and their text, if they are up to date. */
export function referenceFiles(): { file: string; text: string }[] {
  const page = join(DOCS, 'cli.md');
  const [written = ''] = readFileSync(page, 'utf8').split(MARK);
  return [
    { file: page, text: `${written}${MARK}${reference()}` },
    { file: join(DOCS, 'config.schema.json'), text: `${JSON.stringify(configJsonSchema(), null, 2)}\n` },
  ];
}

function reference(): string {
  const program = buildProgram(SERVICES, () => {});
  const commands = commandsIn(program);
  const train = commands.find((each) => each.name() === 'train')!;
  const settings = Object.values(HEADINGS).flatMap((heading) => [
    '',
    `### ${heading.slice(0, -1)}`,
    '',
    ...table(
      ['flag', 'meaning', 'default', 'setting', 'commands'],
      FLAGS.filter((flag) => flag.heading === heading).map((flag) => settingRow(flag, commands)),
    ),
    '',
    ...block([exampleOf(heading, train)!]),
  ]);
  const own = [program, ...commands].flatMap((command) => commandSection(command));
  return `${['', '## Settings', ...settings, '', '## Commands', ...own].join('\n').trimEnd()}\n`;
}

function commandsIn(parent: Command): Command[] {
  return parent.commands.flatMap((command) => [command, ...commandsIn(command)]);
}

function settingRow(flag: Flag, commands: readonly Command[]): string[] {
  const takers = commands.filter(({ options }) => options.some((option) => isSetting(option, flag)));
  const usage = flag.value === undefined ? flag.name : `${flag.name} <${flag.value}>`;
  return [code(usage), flag.help, defaultOf(flag), code(flag.path), takers.map(commandName).join(', ')];
}

/** A command may have a flag of the same name for something else. */
function isSetting({ long, description, helpGroupHeading }: Option, { name, help, heading }: Flag): boolean {
  return long === name && description === help && helpGroupHeading === heading;
}

function commandSection(command: Command): string[] {
  const name = commandName(command);
  const settings = FLAGS.filter((flag) => command.options.some((option) => isSetting(option, flag)));
  const own = command.options.filter((option) => !option.hidden && !settings.some((flag) => isSetting(option, flag)));
  const others = settings.filter(
    (flag) => command.options.find(({ long }) => long === flag.name)!.defaultValueDescription !== defaultOf(flag),
  );
  const args = command.registeredArguments.map((each) => {
    const usage = `${each.required ? '<' : '['}${each.name()}${each.variadic ? '…' : ''}${each.required ? '>' : ']'}`;
    return `${code(usage)}: ${each.description}`;
  });
  const examples = examplesOf(command);
  return [
    '',
    `### ${name || 'alexnet-split'}`,
    '',
    `${command
      .description()
      .replace(/\.?$/, '.')
      .replace(/^./, (letter) => letter.toUpperCase())}`,
    ...(args.length > 0 ? ['', ...args.map((each) => `${each}.`)] : []),
    ...(settings.length > 0 ? ['', settingsSentence(settings, others)] : []),
    ...(own.length > 0 ? ['', ...table(['flag', 'meaning', 'default'], own.map(ownRow))] : []),
    ...(examples.length > 0 ? ['', ...block(examples)] : []),
  ];
}

/** @param others those whose default is not the preset's, but what the run was trained with. */
function settingsSentence({ length }: readonly Flag[], others: readonly Flag[]): string {
  const count = length === FLAGS.length ? `all ${length} flags` : `${length} of the flags`;
  const names = others.map(({ name }) => code(name)).join(', ');
  const rest = others.length > 0 ? ` Without a flag, ${names} are as in the training.` : '';
  return `It takes ${count} of [settings](#settings).${rest}`;
}

function ownRow(option: Option): string[] {
  const { flags, description, argChoices, mandatory, required } = option;
  const choices = argChoices ? `: ${argChoices.join(' or ')}` : '';
  return [
    code(flags),
    `${description}${choices}`,
    mandatory ? 'required' : (defaultText(option) ?? (required ? 'none' : 'off')),
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${header.map(() => '---').join('|')}|`, ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}

function block(lines: readonly string[]): string[] {
  return ['```', ...lines, '```'];
}

if (isEntry(import.meta.url)) for (const { file, text } of referenceFiles()) writeFileSync(file, text);
