/** The completion script for fish. */
import { type Completed, stepsOf, type Values } from './completion-model.js';

/** @param all the program first, then every command. */
export function fishScript(all: readonly Completed[]): string {
  const steps = stepsOf(all).map(
    ({ words, path }) => `            case '${words}'\n                set path '${path}'`,
  );
  return `# Completion for fish. Load it with: alexnet-split completion fish | source
function __alexnet_split_command
    set -l path ''
    for word in (commandline -opc)[2..-1]
        switch "$path $word"
${steps.join('\n')}
        end
    end
    echo -- $path
end

function __alexnet_split_at
    test (__alexnet_split_command) = "$argv[1]"
end

function __alexnet_split_runs
    set -l out runs
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if test "$words[$i]" = --out; and set -q words[(math $i + 1)]
            set out $words[(math $i + 1)]
        else
            string match -q -- '--out=*' $words[$i]; and set out (string sub -s 7 -- $words[$i])
        end
    end
    for folder in $out/*/
        path basename $folder 2>/dev/null; or basename $folder
    end
end

complete -c alexnet-split -e
complete -c alexnet-split -f
${all.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, commands, options, argument }: Completed): string[] {
  const at = `complete -c alexnet-split -n '__alexnet_split_at "${path}"'`;
  return [
    ...commands.map(({ name, description }) => `${at} -a ${name} -d ${quoted(description)}`),
    ...options.map(({ name, description, values }) => {
      const flag = `${at} -l ${name.slice(2)} -d ${quoted(description)}`;
      return values ? `${flag}${valuesOf(values)}` : flag;
    }),
    ...(argument ? [`${at}${valuesOf(argument).replace(/ -[xr]/, '')}`] : []),
  ];
}

/** The value of a flag: -x takes only what is offered, -r -F files too. */
function valuesOf({ words, places }: Values): string {
  const folders = places.includes('folders') && !places.includes('files') ? '(__fish_complete_directories)' : undefined;
  const offered = [...words, places.includes('runs') ? '(__alexnet_split_runs)' : undefined, folders];
  const list = offered.filter((each) => each !== undefined).join(' ');
  return `${places.includes('files') ? ' -r -F' : ' -x'}${list ? ` -a ${quoted(list)}` : ''}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
