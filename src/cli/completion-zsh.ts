/** The completion script for zsh. */
import { type Completed, stepsOf, type Values, valueCases } from './completion-model.js';

/** @param all the program first, then every command. */
export function zshScript(all: readonly Completed[]): string {
  const steps = stepsOf(all).map(({ words, path }) => `      '${words}') command='${path}' ;;`);
  return `#compdef alexnet-split
# Completion for zsh. Load it with: source <(alexnet-split completion zsh)
_alexnet_split_runs() {
  local out=runs i
  for ((i = 2; i < CURRENT; i++)); do
    case \${words[i]} in
      --out) out=\${(Q)words[i + 1]} ;;
      --out=*) out=\${(Q)words[i]#--out=} ;;
    esac
  done
  out=\${out/#\\~\\//$HOME/}
  local -a names
  names=("$out"/*(N/:t))
  compadd -a names
}

_alexnet_split() {
  local command='' flag i
  local -a described
  for ((i = 2; i < CURRENT; i++)); do
    case "$command \${words[i]}" in
${steps.join('\n')}
    esac
  done
  flag=\${words[CURRENT - 1]}
  # --flag=value is one word.
  if [[ $PREFIX == --*=* ]]; then
    flag=\${PREFIX%%=*}
    compset -P '*='
  fi
  case "$command $flag" in
${valueCases(all, actionsOf).join('\n')}
  esac
  case "$command" in
${all.map(wordCase).join('\n')}
  esac
}

if [[ \${funcstack[1]} == _alexnet_split ]]; then
  _alexnet_split "$@"
else
  compdef _alexnet_split alexnet-split
fi
`;
}

/** What completes a command's next word: flags after a dash, else its commands or its argument. */
function wordCase({ path, commands, options, argument }: Completed): string {
  const flags = describe('option', options);
  const words = commands.length > 0 ? [describe('command', commands)] : [];
  const others = [...words, ...(argument ? actionsOf(argument) : [])];
  const plain = others.length > 0 ? others.join('; ') : flags;
  return `    '${path}') if [[ $PREFIX == -* ]]; then ${flags}; else ${plain}; fi ;;`;
}

function describe(what: string, all: readonly { name: string; description: string }[]): string {
  const items = all.map(({ name, description }) => `'${name}:${description.replaceAll("'", "'\\''")}'`);
  return `described=(${items.join(' ')}); _describe ${what} described`;
}

function actionsOf({ words, places }: Values): string[] {
  const files = places.includes('files') ? '_files' : places.includes('folders') ? '_files -/' : undefined;
  return [
    ...(words.length > 0 ? [`compadd -- ${words.join(' ')}`] : []),
    ...(places.includes('runs') ? ['_alexnet_split_runs'] : []),
    ...(files ? [files] : []),
  ];
}
