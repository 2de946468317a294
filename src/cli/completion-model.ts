/** What the completion scripts of all shells are made of. */

/** What a shell offers for a value. `runs` are the names of the folders in `--out`, which is `runs` by default. */
export interface Values {
  words: readonly string[];
  places: readonly ('files' | 'folders' | 'runs')[];
}

/** What can be typed after a command. */
export interface Completed {
  /** `data check`; empty for the program. */
  path: string;
  /** The commands in it. */
  commands: readonly { name: string; description: string }[];
  options: readonly { name: string; description: string; values: Values | undefined }[];
  /** Of its arguments; undefined if it takes none. */
  argument: Values | undefined;
}

/** How the words typed so far lead to a command: `' data'` to `data`, then `'data check'` to `data check`. */
export function stepsOf(all: readonly Completed[]): { words: string; path: string }[] {
  return all.flatMap(({ path, commands }) =>
    commands
      .filter(({ name }) => name !== 'help')
      .map(({ name }) => ({ words: `${path} ${name}`, path: `${path} ${name}`.trim() })),
  );
}

/** The branches of a shell's `case "$command $flag"`: flags whose values are offered in the same way share one. */
export function valueCases(all: readonly Completed[], actionsOf: (values: Values) => readonly string[]): string[] {
  const patterns = new Map<string, string[]>();
  for (const { path, options } of all) {
    for (const { name, values } of options) {
      if (!values) continue;
      const action = [...actionsOf(values), 'return'].join('; ');
      patterns.set(action, [...(patterns.get(action) ?? []), `'${path} ${name}'`]);
    }
  }
  return [...patterns].map(([action, which]) => `    ${which.join(' | ')}) ${action} ;;`);
}
