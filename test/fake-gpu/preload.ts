/**
 * Adds the stand-in GPUs to the process before a context is made: `node --import` loads this. `FAKE_GPU_LIBRARY` is the file
 * that fake-gpu.ts built.
 */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { default: koffi } = await import('koffi');
  const { openLibrary } = await import('../../src/native/c/load.js');
  const { c, path } = openLibrary();
  const load = koffi.load(path).func('void *TF_LoadPluggableDeviceLibrary(const char *path, void *status)');
  const status = c.TF_NewStatus();
  load(process.env.FAKE_GPU_LIBRARY, status);
  if (c.TF_GetCode(status) !== 0) throw new Error(`the stand-in GPUs cannot be loaded: ${c.TF_Message(status)}`);
}
