/**
 * The wheels with TensorFlow's library, pinned by SHA-256, with hashes and sizes from the Python package index. All CPython
 * wheels of a version have the same shared libraries; these are the ones for cp311.
 */
import { SetupError } from '../../errors.js';

export const TENSORFLOW_VERSION = '2.21.0';
/** The interpreter for which pip downloads wheels; the user's own may have any version. */
export const WHEEL_PYTHON = { version: '3.11', implementation: 'cp', abi: 'cp311' } as const;

export type Flavour = 'cpu' | 'gpu';

export interface Wheel {
  project: string;
  version: string;
  sha256: string;
  megabytes: number;
  /** Size on disk of what is unpacked from it. */
  unpackedMegabytes: number;
}

export interface Build {
  flavour: Flavour;
  folder: string;
  /** pip's platform tags. */
  platforms: readonly string[];
  wheels: readonly Wheel[];
}

const CPU_BUILDS: Record<string, Omit<Build, 'flavour' | 'folder'>> = {
  'linux-x64': {
    platforms: ['manylinux_2_27_x86_64'],
    wheels: [
      tensorflow('2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c', 274, 854, 'tensorflow-cpu'),
    ],
  },
  'linux-arm64': {
    platforms: ['manylinux_2_27_aarch64'],
    wheels: [tensorflow('4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c', 282, 884)],
  },
  'darwin-arm64': {
    platforms: ['macosx_12_0_arm64'],
    wheels: [tensorflow('51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88', 223, 741)],
  },
};

/** TensorFlow with CUDA, and the packages of its extra `and-cuda`, in the versions that pip chooses. */
const GPU_WHEELS: readonly Wheel[] = [
  tensorflow('9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124', 572, 1260),
  nvidia('cublas', '12.9.3.13', 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72', 581, 856),
  nvidia('cuda-cupti', '12.8.90', 'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182', 10, 42),
  nvidia('cuda-nvcc', '12.9.86', '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0', 41, 36),
  nvidia('cuda-nvrtc', '12.9.86', '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4', 90, 228),
  nvidia('cuda-runtime', '12.9.79', '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3', 4, 1),
  // The last version with code for compute capability 6.0 to 7.4; it also has code for 10.0 and 12.0.
  nvidia('cudnn', '9.10.2.21', '949452be657fa16687d0930933f032835951ef0892b37d2d53824d1a84dc97a8', 707, 1054),
  nvidia('cufft', '11.4.1.4', 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28', 201, 294),
  nvidia('curand', '10.3.10.19', '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e', 68, 167),
  nvidia('cusolver', '11.7.5.82', '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88', 338, 495),
  nvidia('cusparse', '12.5.10.65', '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78', 366, 487),
  nvidia('nccl', '2.32.3', 'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c', 352, 474),
  nvidia('nvjitlink', '12.9.86', 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9', 40, 96),
];

/**
 * The wheels for a machine. Only Linux x64 has a GPU build; elsewhere `wanted` `gpu` gives the CPU build.
 * @throws SetupError when TensorFlow has no wheel for the platform.
 */
export function buildFor(platform: string, arch: string, wanted: Flavour): Build {
  const machine = `${platform}-${arch}`;
  const flavour = hasGpuBuild(platform, arch) ? wanted : 'cpu';
  const folder = `tensorflow-${TENSORFLOW_VERSION}-${flavour}-${machine}`;
  if (flavour === 'gpu') {
    // NVIDIA's wheels carry older tags than TensorFlow's.
    return { flavour, folder, platforms: ['manylinux_2_27_x86_64', 'manylinux2014_x86_64'], wheels: GPU_WHEELS };
  }
  const build = CPU_BUILDS[machine];
  if (build) return { flavour, folder, ...build };
  const why =
    machine === 'darwin-x64'
      ? 'TensorFlow has had no macOS build for Intel processors since 2.16'
      : `TensorFlow ${TENSORFLOW_VERSION} has no build for ${machine}, only for ${Object.keys(CPU_BUILDS).join(', ')}`;
  throw new SetupError(
    `Cannot fetch the TensorFlow library: ${why}; run on another machine, or point TENSORFLOW_DIR at a libtensorflow of your own build`,
  );
}

export function hasGpuBuild(platform: string, arch: string): boolean {
  return platform === 'linux' && arch === 'x64';
}

/** What a build takes in GB: to download, on the disk, and on the disk while it is fetched. */
export function gigabytesOf({ wheels }: Pick<Build, 'wheels'>): { download: number; disk: number; fetching: number } {
  const sum = (of: (wheel: Wheel) => number) => wheels.reduce((total, wheel) => total + of(wheel), 0) / 1000;
  const disk = sum(({ unpackedMegabytes }) => unpackedMegabytes);
  // pip copies a wheel from its temporary folder.
  const fetching = disk + (2 * Math.max(...wheels.map(({ megabytes }) => megabytes))) / 1000;
  return { download: sum(({ megabytes }) => megabytes), disk, fetching };
}

/** Compares dotted versions: 20.3 is older than 20.10. */
export function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0;
}

export function requirement({ project, version, sha256 }: Wheel): string {
  return `${project}==${version} --hash=sha256:${sha256}`;
}

/** Whether a file of a wheel is unpacked: TensorFlow's and CUDA's libraries, and two tools of XLA for GPUs. */
export function isKept(path: string): boolean {
  return (
    /^tensorflow\/libtensorflow_(framework|cc)\.(so\.2|2\.dylib)$/.test(path) ||
    /^nvidia\/\w+\/(lib\/[^/]+\.so(\.\d+)*|bin\/ptxas|nvvm\/libdevice\/[^/]+\.bc)$/.test(path)
  );
}

/** The folders of CUDA's wheels in a GPU build: `nvidia/cudnn`, ... */
export function cudaFolders(): string[] {
  const parts = GPU_WHEELS.flatMap(({ project }) => /^nvidia-(.*)-cu12$/.exec(project)?.[1] ?? []);
  return parts.map((part) => `nvidia/${part.replaceAll('-', '_')}`);
}

function tensorflow(sha256: string, megabytes: number, unpackedMegabytes: number, project = 'tensorflow'): Wheel {
  return { project, version: TENSORFLOW_VERSION, sha256, megabytes, unpackedMegabytes };
}

function nvidia(part: string, version: string, sha256: string, megabytes: number, unpackedMegabytes: number): Wheel {
  return { project: `nvidia-${part}-cu12`, version, sha256, megabytes, unpackedMegabytes };
}
