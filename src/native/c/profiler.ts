/**
 * TensorFlow's profiler: what ops ran when, on each thread and each GPU. There is no C API for it, so C++ methods are
 * called, by their names in the library; only with the version and the platform that this was tried with.
 */
import { bind, loadKoffi } from '../install/koffi.js';
import { libc } from './copy.js';
import { openLibrary } from './load.js';
import { varintField } from './protobuf.js';
import { type AbslStatus, type Pointer, PROFILER_PROTOTYPES } from './signatures.js';

/** The only build that this was tried with. Another one may have other functions under the same names. */
const TRIED = { version: '2.21.0', platform: 'linux', arch: 'x64' } as const;

/** The largest of the objects has 192 bytes. */
const OBJECT_BYTES = 1024;
/** `absl::Status` without an error. */
const OK = 1;

/**
 * `ProfileOptions`, serialized: version 1; device_tracer_level 1; host_tracer_level 3, which includes ops that TensorFlow
 * takes for cheap. A GPU is traced by CUPTI if the library has it.
 */
const OPTIONS = Uint8Array.from([...varintField(5, 1), ...varintField(3, 1), ...varintField(2, 3)]);

/** A session of the profiler, of which the process can have one. */
export interface ProfilerSession {
  /** Ends the session. @returns a serialized `XSpace`, for `opsIn`; undefined if the profiler failed. */
  stop(): Uint8Array | undefined;
}

type ProfilerCalls = ReturnType<typeof bindProfiler>;

let bound: ProfilerCalls | undefined;

/** Why there is no profiler here; undefined if there is one. @param facts of this process by default. */
export function profilerMissing(
  { version, platform, arch } = {
    version: openLibrary().c.TF_Version(),
    platform: process.platform as string,
    arch: process.arch as string,
  },
): string | undefined {
  if (version === TRIED.version && platform === TRIED.platform && arch === TRIED.arch) return undefined;
  const [tried, here] = [TRIED, { version, platform, arch }].map(
    (each) => `TensorFlow ${each.version} for ${each.platform} ${each.arch}`,
  );
  return `the profiler is only used with ${tried}, and this is ${here}`;
}

/**
 * Starts the profiler, for all threads of the process.
 * @returns undefined where there is none (see {@link profilerMissing}), the library lacks a function, or another session
 * runs.
 */
export function startProfiler(): ProfilerSession | undefined {
  if (profilerMissing() !== undefined) return undefined;
  bound ??= bindProfiler();
  const calls = bound;
  if (!calls) return undefined;
  const options = libc.calloc(1, OBJECT_BYTES);
  calls.optionsMake(options, null);
  calls.parse(options, OPTIONS, OPTIONS.length);
  const session = libc.calloc(1, OBJECT_BYTES);
  calls.sessionStart(session, options);
  calls.optionsEnd(options);
  libc.free(options);
  const end = () => {
    calls.sessionEnd(session);
    libc.free(session);
  };
  if (!isOk(calls.sessionStatus(session))) {
    end();
    return undefined;
  }
  return {
    stop() {
      try {
        return collect(calls, session);
      } finally {
        end();
      }
    },
  };
}

/** The profiler's clock, in milliseconds since 1970; undefined where there is no profiler. */
export function profilerNow(): number | undefined {
  if (profilerMissing() !== undefined) return undefined;
  bound ??= bindProfiler();
  return bound && Number(bound.now()) / 1e6;
}

function collect(calls: NonNullable<ProfilerCalls>, session: Pointer): Uint8Array | undefined {
  const space = libc.calloc(1, OBJECT_BYTES);
  calls.spaceMake(space, null);
  try {
    if (!isOk(calls.sessionCollect(session, space))) return undefined;
    const bytes = new Uint8Array(Number(calls.spaceBytes(space)));
    return calls.serialize(space, bytes, bytes.length) ? bytes : undefined;
  } finally {
    calls.spaceEnd(space);
    libc.free(space);
  }
}

function isOk({ word }: AbslStatus): boolean {
  return Number(word) === OK;
}

/** Looks up all functions. @returns undefined if one is missing. */
function bindProfiler() {
  const c = bind(PROFILER_PROTOTYPES, [loadKoffi().load(openLibrary().framework)]);
  if (Object.keys(c).length < PROFILER_PROTOTYPES.length) return undefined;
  return {
    optionsMake: c._ZN10tensorflow14ProfileOptionsC1EPN6google8protobuf5ArenaE,
    optionsEnd: c._ZN10tensorflow14ProfileOptionsD1Ev,
    spaceMake: c._ZN10tensorflow8profiler6XSpaceC1EPN6google8protobuf5ArenaE,
    spaceEnd: c._ZN10tensorflow8profiler6XSpaceD1Ev,
    spaceBytes: c._ZNK10tensorflow8profiler6XSpace12ByteSizeLongEv,
    parse: c._ZN6google8protobuf11MessageLite14ParseFromArrayEPKvi,
    serialize: c._ZNK6google8protobuf11MessageLite16SerializeToArrayEPvi,
    sessionStart: c._ZN3tsl15ProfilerSessionC1ERKN10tensorflow14ProfileOptionsE,
    sessionStatus: c._ZN3tsl15ProfilerSession6StatusEv,
    sessionCollect: c._ZN3tsl15ProfilerSession19CollectDataInternalEPN10tensorflow8profiler6XSpaceE,
    sessionEnd: c._ZN3tsl15ProfilerSessionD1Ev,
    now: c._ZN3tsl8profiler19GetCurrentTimeNanosEv,
  };
}
