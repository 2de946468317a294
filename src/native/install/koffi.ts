/** Calls C functions with koffi, which is loaded at the first call, because most commands need none. */
import { createRequire } from 'node:module';
import { explainLoadFailure } from '../../addon.js';
import { SetupError } from '../../errors.js';

export type Koffi = typeof import('koffi').default;
export type NativeLibrary = ReturnType<Koffi['load']>;

/** An address in this process, which can cross threads; 0n is NULL. */
export type Pointer = bigint;

/** `TF_Output` of TensorFlow: one output of an operation in a graph. */
export interface GraphOutput {
  oper: Pointer;
  index: number;
}

/** `absl::Status`: one word, and room that makes koffi return it as C++ does. */
export interface AbslStatus {
  word: number | bigint;
}

/** The TypeScript types of the C types that prototypes may use. koffi does not check the element type of an array. */
interface CTypes extends Record<'int' | 'float' | 'size_t' | 'uint8_t' | 'uint32_t' | 'int64_t', number> {
  uint64_t: number | bigint;
  // biome-ignore lint/suspicious/noConfusingVoidType: only results have it
  void: void;
  bool: boolean;
  TF_Output: GraphOutput;
  AbslStatus: AbslStatus;
  'void *': Pointer;
  'const void *': Pointer | ArrayBufferView | null;
  '_Out_ void *': Pointer | ArrayBufferView;
  'const char *': string;
  'const uint8_t *': Uint8Array;
  'int *': Int32Array;
  'uint32_t *': Uint32Array;
  'const int *': Int32Array;
  'int64_t *': BigInt64Array;
  'const int64_t *': BigInt64Array | null;
  'uint64_t *': BigUint64Array;
  'const uint64_t *': BigUint64Array;
  'const float *': Float32Array;
}

type CType<Type extends string> = Type extends keyof CTypes ? CTypes[Type] : `${Type} is not in CTypes`;

/** The type in a declaration such as `const void *bytes`: all except the name. */
type TypeIn<Declaration extends string> = Declaration extends `${infer Type} *${string}`
  ? CType<`${Type} *`>
  : Declaration extends `${infer Type} ${string}`
    ? CType<Type>
    : never;

type TypesIn<Declarations extends string> = Declarations extends ''
  ? []
  : Declarations extends `${infer First}, ${infer Rest}`
    ? [TypeIn<First>, ...TypesIn<Rest>]
    : [TypeIn<Declarations>];

type NameIn<Prototype extends string> = Prototype extends `${string} *${infer Name}(${string}`
  ? Name
  : Prototype extends `${string} ${infer Name}(${string}`
    ? Name
    : never;

/** The functions of C prototypes such as `int abs(int value)`, by name. */
export type CFunctions<Prototypes extends string> = {
  [Prototype in Prototypes as NameIn<Prototype>]: Prototype extends `${infer Start}(${infer Parameters})`
    ? (...parameters: TypesIn<Parameters>) => TypeIn<Start>
    : never;
};

let loaded: Koffi | undefined;

/** @throws SetupError that says what to do, if koffi's binary is not installed or the system does not run it. */
export function loadKoffi(): Koffi {
  try {
    loaded ??= createRequire(import.meta.url)('koffi') as Koffi;
    return loaded;
  } catch (error) {
    throw new SetupError(`Cannot call the system or TensorFlow: ${explainLoadFailure('koffi', error)}`, {
      cause: error,
    });
  }
}

/**
 * Binds C functions for this thread.
 * @param prototypes as in C headers, with the types in {@link CTypes}.
 * @param libraries to search in this order; by default all that the process has loaded.
 * @returns the functions by name, without those that no library has.
 */
export function bind<const Prototype extends string>(
  prototypes: readonly Prototype[],
  libraries: readonly NativeLibrary[] = [loadKoffi().load(null)],
): CFunctions<Prototype> {
  const bound = prototypes.flatMap((prototype) => {
    const name = nameIn(prototype);
    const library = libraries.find((each) => hasSymbol(each, name));
    return library ? [[name, library.func(prototype)]] : [];
  });
  return Object.fromEntries(bound);
}

/**
 * Calls a C function that may take long in a thread of libuv's, so that this thread's event loop goes on.
 * @param call a function from {@link bind}. What it points to must stay as it is until it returns.
 */
export function callAsync<Parameters extends unknown[], Result>(
  call: (...parameters: Parameters) => Result,
  ...parameters: Parameters
): Promise<Result> {
  const { async: start } = call as unknown as { async(...all: unknown[]): void };
  return new Promise((resolve, reject) => {
    start(...parameters, (error: Error | null, result: Result) => (error ? reject(error) : resolve(result)));
  });
}

export function nameIn(prototype: string): string {
  return /(\w+)\(/.exec(prototype)![1]!;
}

function hasSymbol(library: NativeLibrary, name: string): boolean {
  try {
    return library.symbol(name) !== null;
  } catch {
    return false; // koffi throws for an unknown name
  }
}
