/** The completion script for bash. It needs no package `bash-completion`. */
import { type Completed, stepsOf, type Values, valueCases } from './completion-model.js';

/** @param all the program first, then every command. */
export function bashScript(all: readonly Completed[]): string {
  const steps = stepsOf(all).map(({ words, path }) => `      '${words}') command='${path}' ;;`);
  return `# Completion for bash. Load it with: source <(alexnet-split completion bash)
_alexnet_split_words() {
  local word
  for word; do
    if [[ $word == "$current"* ]]; then COMPREPLY+=("$word"); fi
  done
}

# Adds a name as it is typed: outside of quotes with a backslash before what the shell would interpret. bash itself would
# leave the backquote in a name that is no file of this folder, and run what is in it.
_alexnet_split_name() {
  local typed=$1
  if [[ $quote == '' ]]; then
    printf -v typed %q "\${1#'~/'}"
    if [[ $1 == '~/'* ]]; then typed="~/$typed"; fi
  fi
  COMPREPLY+=("$typed")
}

_alexnet_split_files() {
  local word
  while IFS= read -r word; do _alexnet_split_name "$word"; done < <(compgen "$1" -- "$current")
}

# Sets plain to a word as the shell reads it. Its quotes may be open.
_alexnet_split_unquote() {
  case $1 in
    \\'*) plain=\${1#\\'} plain=\${plain%\\'} ;;
    \\"*) plain=\${1#\\"} plain=\${plain%\\"} ;;
    *) plain=\${1//\\\\/} ;;
  esac
}

_alexnet_split_runs() {
  local out=runs i folder word plain
  for ((i = 1; i < COMP_CWORD - 1; i++)); do
    if [[ \${COMP_WORDS[i]} == --out ]]; then
      word=\${COMP_WORDS[i + 1]}
      if [[ $word == '=' ]]; then word=\${COMP_WORDS[i + 2]}; fi
      _alexnet_split_unquote "$word"
      out=\${plain/#'~/'/$HOME/}
    fi
  done
  for folder in "$out"/*/; do
    folder=\${folder%/}
    if [[ -d $folder && \${folder##*/} == "$current"* ]]; then _alexnet_split_name "\${folder##*/}"; fi
  done
}

_alexnet_split() {
  local command='' i plain quote=''
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  # bash makes three words of --flag=value.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [[ $current == [\\'\\"]* ]]; then quote=\${current:0:1}; fi
  _alexnet_split_unquote "$current"
  current=$plain
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
${steps.join('\n')}
    esac
  done
  COMPREPLY=()
  if [[ $quote == '' ]]; then compopt -o noquote 2> /dev/null; fi
  case "$command $previous" in
${valueCases(all, actionsOf).join('\n')}
  esac
  case "$command" in
${all.map(wordCase).join('\n')}
  esac
}

complete -F _alexnet_split alexnet-split
`;
}

/** What completes a command's next word: flags after a dash, else its commands or its argument. */
function wordCase({ path, commands, options, argument }: Completed): string {
  const flags = words(options.map(({ name }) => name));
  const names = commands.length > 0 ? [words(commands.map(({ name }) => name))] : [];
  const others = [...names, ...(argument ? actionsOf(argument) : [])];
  const plain = others.length > 0 ? others.join('; ') : flags;
  return `    '${path}') if [[ $current == -* ]]; then ${flags}; else ${plain}; fi ;;`;
}

function actionsOf({ words: offered, places }: Values): string[] {
  return [
    ...(offered.length > 0 ? [words(offered)] : []),
    ...(places.includes('runs') ? ['_alexnet_split_runs'] : []),
    ...(places.includes('files') ? ['_alexnet_split_files -f'] : []),
    ...(places.includes('folders') ? ['_alexnet_split_files -d'] : []),
    ...(places.length > 0 ? ['compopt -o filenames 2> /dev/null'] : []),
  ];
}

function words(offered: readonly string[]): string {
  return `_alexnet_split_words ${offered.join(' ')}`;
}
