/** What a training writes for other programs while it runs, beside its log: `--tensorboard` and `--metrics-port`. */
import { closeSync, constants, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { systemMessage } from '../errors.js';
import type { LogEvent } from '../log.js';
import { makeFolders, openNoFollow } from '../safe-write.js';
import { serveMetrics } from './metrics-server.js';

/** The folder of the event files in a run's folder. */
const TENSORBOARD_FOLDER = 'tensorboard';

interface Export {
  /** Whether it takes what the log has, where several steps may be one event, and not each step. */
  takesLines: boolean;
  /** @param folder of the run. @param time ms since 1970. */
  see(event: LogEvent, folder: string, time: number): void;
  close(): void;
}

export interface Exports {
  /** For the user: where to look. */
  notes: readonly string[];
  /** Takes the next event. @returns warnings: an export that fails ends, and the training goes on without it. */
  see(event: LogEvent): string[];
  /** Takes the next event of the log, in which several steps may be one. @param folder of the run. @returns as `see`. */
  seeLine(event: LogEvent, folder: string, time?: number): string[];
  close(): void;
}

/**
 * Opens what the settings ask for. Loads the libraries only then.
 * @throws ConfigError or SplitError if the port cannot be used.
 */
export async function openExports({ tensorboard, metricsPort }: Pick<Config, 'tensorboard' | 'metricsPort'>) {
  const open = new Map<string, Export>();
  const notes: string[] = [];
  if (metricsPort !== null) {
    const { runMetrics } = await import('../report/prometheus.js');
    const { see, text } = runMetrics();
    const { url, close } = await serveMetrics(metricsPort, text);
    open.set('metrics', { takesLines: false, see, close });
    notes.push(`metrics at ${url}`);
  }
  if (tensorboard) open.set('TensorBoard event file', await openTensorboard());
  function give(takesLines: boolean, event: LogEvent, folder: string, time: number): string[] {
    const warnings: string[] = [];
    for (const [name, each] of open) {
      if (each.takesLines !== takesLines) continue;
      try {
        each.see(event, folder, time);
      } catch (error) {
        open.delete(name);
        warnings.push(`the ${name} ends at this point: ${systemMessage(error as Error)}`);
        each.close();
      }
    }
    return warnings;
  }

  return {
    notes,
    see: (event) => give(false, event, '', Date.now()),
    seeLine: (event, folder, time = Date.now()) => give(true, event, folder, time),
    close() {
      for (const each of open.values()) each.close();
    },
  } satisfies Exports;
}

/** A new file for each process. It is opened at the first event, when there is a folder. */
async function openTensorboard(): Promise<Export> {
  const { tensorboardEncoder, eventFileName } = await import('../report/tensorboard.js');
  const encode = tensorboardEncoder();
  let descriptor: number | undefined;
  return {
    takesLines: true,
    see(event, runFolder, time) {
      if (descriptor === undefined) {
        const folder = join(runFolder, TENSORBOARD_FOLDER);
        makeFolders(folder);
        const file = join(folder, eventFileName(time, `${String(time % 1000).padStart(3, '0')}.${process.pid}`));
        descriptor = openNoFollow(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
      }
      const bytes = encode(event, time);
      // One call, so that a reader never finds half of a record.
      for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}
