/** `--wait-for-servers`: after a server was lost, the towers are made anew when it is back, and the run continues. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunState } from '../checkpoint/contents.js';
import { checkpointsFolder, newestCheckpoint } from '../checkpoint/store.js';
import { askAgain } from '../cluster/cluster.js';
import type { Config } from '../config/config.js';
import { durationMs } from '../config/servers.js';
import type { BatchFeeder } from '../data/index.js';
import { NativeError, ServerError, ServerLostError } from '../errors.js';
import type { Report } from '../log.js';
import { isServerTrouble, rejoinCluster } from '../native/c/rejoin.js';
import { runningTimeMs } from '../running-time.js';
import { clusterOf, contextOptions } from './context-options.js';
import { newProgress, type Progress } from './progress.js';
import { type Resume, withoutStart } from './resume.js';
import type { Run } from './run-events.js';
import { openTeam, type Team, type TeamConfig } from './team.js';
import { untilThere } from './until-there.js';

/** A run that lost a server so often without a new step gains nothing by another try. */
const MOST_IN_VAIN = 10;
const AGAIN_MS = 1_000;

export interface RecoveryUi {
  report: Report;
  signal: AbortSignal;
  note?: ((text: string) => void) | undefined;
  /** What the run was resumed from at first. */
  resume?: Resume | undefined;
  /** Opens another feeder of the run's images. */
  reopen(): BatchFeeder;
  /** Forgets the losses after a checkpoint. */
  rewind(state: RunState | undefined): void;
}

/** A run that continues after each loss of a server. */
export class Recovery {
  readonly #run: Run;
  readonly #progress: Progress;
  readonly #ui: RecoveryUi;
  #times = 0;
  #inVain = 0;
  #furthest = -1;

  /** @param run gets another team and feeder, and `progress` begins again. */
  constructor(run: Run, progress: Progress, ui: RecoveryUi) {
    this.#run = run;
    this.#progress = progress;
    this.#ui = ui;
  }

  /** How often the run has lost a server and continued. */
  get times(): number {
    return this.#times;
  }

  /**
   * Runs `once`, and with `waitForServers` again after each loss of a server: from the newest checkpoint, from what the run
   * was resumed from, or from its start.
   * @param end ends what `once` has left, before the team is closed.
   * @throws what `once` throws otherwise; ServerError if a server does not come back in time, or is lost again and again.
   */
  async run(once: (resume: Resume | undefined) => Promise<void>, end: () => Promise<void>): Promise<void> {
    let { resume } = this.#ui;
    for (;;) {
      try {
        return await once(resume);
      } catch (error) {
        const { waitForServers } = this.#run.config;
        if (!(error instanceof ServerLostError) || waitForServers === null || this.#ui.signal.aborted) throw error;
        await end();
        const found = await this.#recover(error, durationMs(waitForServers));
        if (!found) break;
        resume = found.resume;
      }
    }
    this.#progress.stopped = true;
  }

  /** @returns undefined if the signal is given. */
  async #recover(lost: ServerLostError, waitMs: number): Promise<{ resume: Resume | undefined } | undefined> {
    const [run, progress, { report, signal, reopen }] = [this.#run, this.#progress, this.#ui];
    const { steps } = progress;
    report({ event: 'server_lost', step: steps, server: lost.server, reason: lost.how });
    this.#inVain = steps > this.#furthest ? 0 : this.#inVain + 1;
    this.#furthest = Math.max(this.#furthest, steps);
    if (this.#inVain >= MOST_IN_VAIN) throw lost;
    const started = runningTimeMs();
    await run.team.close();
    await run.feeder.close();
    run.feeder = reopen(); // TensorFlow may still read the slots of the old one
    const resume = await this.#reopen(started + waitMs);
    if (signal.aborted) return undefined;
    this.#times++;
    delete progress.top1;
    delete progress.start;
    const state = resume?.checkpoint.state;
    Object.assign(progress, newProgress());
    this.#ui.rewind(state);
    const waited = runningTimeMs() - started;
    report({ event: 'servers_back', step: state?.step ?? 0, waited_ms: waited, times: this.#times });
    return { resume };
  }

  /** Tries until a team is open, or the signal is given. @returns what to resume from. */
  async #reopen(until: number): Promise<Resume | undefined> {
    const { signal, note } = this.#ui;
    const run = this.#run;
    const { net, devices } = run.config;
    const cluster = (await clusterOf(run.config))!;
    for (;;) {
      const left = Math.max(0, until - runningTimeMs());
      const waiting = { waitForServers: `${Math.ceil(left / 1000)}s`, signal, note };
      await untilThere(() => askAgain(cluster), waiting).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      if (signal.aborted) return undefined;
      try {
        await rejoinCluster(contextOptions(net.table, devices, cluster));
        const resume = this.#newest();
        run.team = await openTeam(withoutStart(run.config, resume), run.feeder.slots, note);
        return resume;
      } catch (error) {
        const mayEnd = error instanceof ServerError || (error instanceof NativeError && isServerTrouble(error));
        if (!mayEnd || signal.aborted || runningTimeMs() >= until) throw error;
        await sleep(AGAIN_MS);
      }
    }
  }

  #newest(): Resume | undefined {
    const { out, run } = this.#run.config;
    const { found, skipped } = newestCheckpoint(checkpointsFolder(join(out, run)));
    return found ? { checkpoint: found, skipped } : this.#ui.resume;
  }
}

/** Opens a team when its servers are there. */
export async function openTeamWhenThere(
  config: TeamConfig & Pick<Config, 'waitForServers'>,
  slots: readonly SharedArrayBuffer[],
  { signal, note }: Pick<RecoveryUi, 'signal' | 'note'>,
): Promise<Team> {
  await untilThere(() => clusterOf(config), { ...config, signal, note });
  return openTeam(config, slots, note);
}
