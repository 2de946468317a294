/**
 * What the commands use from outside. Tests replace it. Whatever loads TensorFlow is imported only when a command needs it,
 * so that `--help` and `summary` start quickly.
 */
import type { Address } from '../address.js';
import type { ConfigLayer } from '../config/layers.js';
import type { FetchableName, FetchableSet } from '../data/index.js';
import type { Cluster } from '../native/c/cluster.js';
import type { ContextOptions, Device } from '../native/c/context.js';
import type { GpuFacts } from '../native/install/gpu-support.js';
import type { Places } from '../train/context-options.js';
import { type Output, Printer } from './output.js';

export interface Input<Options, Argument = undefined> {
  argument: Argument;
  /** The flags that set something in a config, as settings. */
  flags: ConfigLayer;
  /** The config file of `--config` if there is one, then the flags. */
  layers: readonly ConfigLayer[];
  options: Options;
}

/** A command's module. `run` returns the exit code. */
export interface CommandModule {
  run(input: Input<never, never>, services: Services): Promise<number>;
}

export type TrainModule = Pick<
  typeof import('../train/index.js'),
  'train' | 'verify' | 'verifyGolden' | 'evaluateRun' | 'predictFiles' | 'compareSpeeds'
>;

export type AcceptModule = Pick<typeof import('../train/accept/accept.js'), 'accept'>;

export type PlanModule = Pick<typeof import('../train/plan/calibrate.js'), 'calibrate'> &
  Pick<typeof import('../train/plan/rehearsal.js'), 'rehearse'>;
export type ServerModule = Pick<typeof import('../native/c/server.js'), 'startServer'>;

export type Services = typeof SERVICES;

/** What a test may replace: services, with a stream or a stand-in instead of each printer. */
export type Replaced = Partial<Omit<Services, 'stdout' | 'stderr'> & { stdout: Output; stderr: Output }>;

export const SERVICES = {
  stdout: new Printer(process.stdout),
  stderr: new Printer(process.stderr),
  env: process.env as Readonly<Record<string, string | undefined>>,
  now: () => new Date(),
  /** The cluster of the servers that are named, which the context is to join; undefined without any. */
  async findCluster(places: Places): Promise<Cluster | undefined> {
    return (await import('../train/context-options.js')).clusterOf(places);
  },
  /** The devices of servers, before the context joins them. */
  async serverDevices(servers: readonly string[], coordinator?: string): Promise<readonly Device[]> {
    return (await import('../cluster/cluster.js')).serverDevices(servers, coordinator);
  },
  /** All of TensorFlow's devices. @param options of TensorFlow's context; ignored if it exists already. */
  async listDevices(options?: ContextOptions): Promise<readonly Device[]> {
    return (await import('../native/c/context.js')).listDevices(options);
  },
  async hasFashionMnist(): Promise<boolean> {
    return (await import('../data/index.js')).findFashionMnist() !== undefined;
  },
  /** Gives the number of classes of a folder of images, and undefined for other data. */
  async countClasses(): Promise<(source: string) => number | undefined> {
    return (await import('../data/index.js')).countClasses;
  },
  /** The data sets that can be fetched. */
  async loadFetchable(): Promise<Readonly<Record<FetchableName, FetchableSet>>> {
    return (await import('../data/index.js')).FETCHABLE;
  },
  /** Says whether data has test images of its own; undefined if there is no such data. */
  async hasTestImages(): Promise<(source: string) => boolean | undefined> {
    return (await import('../data/index.js')).hasTestImages;
  },
  /** Finds the TensorFlow library, or fetches it if it is missing or incomplete; returns its path. */
  async ensureLibrary(): Promise<string> {
    const { ensureLibrary } = await import('../native/install/fetch.js');
    return (await ensureLibrary({ repair: true })).tensorflow;
  },
  /**
   * Finds the TensorFlow library and the CUDA libraries beside it, and loads nothing. `hidden`: `CUDA_VISIBLE_DEVICES` hides
   * the NVIDIA device. @throws SetupError if the library is not for this machine.
   */
  async examineLibrary() {
    const { cudaPreload, findLibrary } = await import('../native/install/library.js');
    const { hasDevice, hasNvidiaDevice } = await import('../native/install/nvidia.js');
    const [library, nvidia] = [findLibrary(), hasNvidiaDevice()];
    const cuda: readonly string[] = cudaPreload(library?.nvidiaFolders ?? []);
    return { library, nvidia, hidden: !nvidia && hasDevice(), cuda };
  },
  /**
   * The machine's cards and what CUDA says about them; undefined without a card.
   * @param devices names of TensorFlow's devices.
   * @param thorough asks nvidia-smi even if TensorFlow has a GPU.
   */
  async examineGpus(devices: readonly string[], thorough?: boolean): Promise<GpuFacts | undefined> {
    const { examineGpus } = await import('../native/c/cuda.js');
    return examineGpus(devices.filter((name) => name.startsWith('GPU')).length, thorough);
  },
  /** The IP addresses of a host, which is this machine, for a server to listen on. @throws as `serve-address.ts` says. */
  async ownAddresses(address: Address): Promise<readonly string[]> {
    return (await import('./serve-address.js')).ownAddresses(address);
  },
  loadServer: (): Promise<ServerModule> => import('../native/c/server.js'),
  loadTrain: (): Promise<TrainModule> => import('../train/index.js'),
  async loadPlan(): Promise<PlanModule> {
    const { calibrate } = await import('../train/plan/calibrate.js');
    const { rehearse } = await import('../train/plan/rehearsal.js');
    return { calibrate, rehearse };
  },
  loadAccept: (): Promise<AcceptModule> => import('../train/accept/accept.js'),
};
