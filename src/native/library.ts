// temporary: the set-up helper replaces this file
export function findLibrary(): { framework: string; tensorflow: string; source: 'TENSORFLOW_DIR' | 'cache'; flavour: 'cpu' | 'gpu' | 'unknown'; nvidiaFolders: string[] } | undefined {
  return { framework: '/tmp/tf/libtensorflow_framework.so.2', tensorflow: '/tmp/tf/libtensorflow_cc.so.2', source: 'cache', flavour: 'cpu', nvidiaFolders: [] };
}
export function cudaPreload(_folders: string[]): string[] {
  return [];
}
