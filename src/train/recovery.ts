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
import { type Batches, openTeam, type Team, type TeamConfig } from './team.js';
import { untilThere } from './until-there.js';
import { Stopped, stoppable } from './waiting.js';

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
   * @throws what `once` throws otherwise; ServerError if a server does not come back in time, or is lost again and again; Stopped
   * if the signal is given while the run waits.
   */
  async run(once: (resume: Resume | undefined) => Promise<void>, end: () => Promise<void>): Promise<void> {
    let { resume } = this.#ui;
    for (;;) {
      try {
        await once(resume);
        return;
      } catch (error) {
        const { waitForServers } = this.#run.config;
        if (!(error instanceof ServerLostError) || waitForServers === null || this.#ui.signal.aborted) throw error;
        await end();
        resume = await this.#recover(error, durationMs(waitForServers));
      }
    }
  }

  /** @returns what to resume from. @throws Stopped if the signal is given. */
  async #recover(lost: ServerLostError, waitMs: number): Promise<Resume | undefined> {
    const [run, progress, { report, reopen }] = [this.#run, this.#progress, this.#ui];
    const { steps } = progress;
    report({ event: 'server_lost', step: steps, server: lost.server, reason: lost.how });
    this.#inVain = steps > this.#furthest ? 0 : this.#inVain + 1;
    this.#furthest = Math.max(this.#furthest, steps);
    if (this.#inVain >= MOST_IN_VAIN) throw lost;
    const started = runningTimeMs();
    await run.team.close();
    await run.feeder.close();
    run.feeder = reopen(); // TensorFlow may still read the slots of the old one
    const { team, resume } = await this.#reopen(started + waitMs);
    run.team = team;
    this.#times++;
    delete progress.top1;
    delete progress.start;
    const state = resume?.checkpoint.state;
    Object.assign(progress, newProgress());
    this.#ui.rewind(state);
    const waited = runningTimeMs() - started;
    report({ event: 'servers_back', step: state?.step ?? 0, waited_ms: waited, times: this.#times });
    for (const message of team.warnings) report({ event: 'warning', message });
    return resume;
  }

  /** @throws Stopped if the signal is given. */
  async #reopen(until: number): Promise<{ team: Team; resume: Resume | undefined }> {
    const { config, feeder } = this.#run;
    const { signal, note } = this.#ui;
    const opening = openAgain(config, until, this.#ui, async () => {
      const resume = this.#newest();
      return { team: await openTeam(withoutStart(config, resume), feeder, note), resume };
    });
    try {
      return await stoppable(opening, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new Stopped(
        opening.then(
          (late) => late.team.close(),
          () => {},
        ),
      );
    }
  }

  #newest(): Resume | undefined {
    const { out, run } = this.#run.config;
    const { found, skipped } = newestCheckpoint(checkpointsFolder(join(out, run)));
    return found ? { checkpoint: found, skipped } : this.#ui.resume;
  }
}

/**
 * Waits for the servers, joins them again, and opens what uses them, until that is open.
 * @throws what `open` throws, once the time is over or if no server is the cause; Stopped or ServerError at the signal.
 */
async function openAgain<T>(
  config: TeamConfig,
  until: number,
  { signal, note }: Pick<RecoveryUi, 'signal' | 'note'>,
  open: () => Promise<T>,
): Promise<T> {
  const cluster = (await clusterOf(config))!;
  for (let isFirst = true; ; isFirst = false) {
    const left = Math.max(0, until - runningTimeMs());
    await untilThere(() => askAgain(cluster), { waitForServers: `${Math.ceil(left / 1000)}s`, signal, note });
    try {
      await rejoinCluster(contextOptions(config.net.table, config.devices, cluster));
      return await open();
    } catch (error) {
      const mayPass = error instanceof ServerError || (error instanceof NativeError && isServerTrouble(error));
      if (!mayPass || signal.aborted || runningTimeMs() >= until) throw error;
      if (isFirst) note?.(`the servers answer, but cannot be used yet: ${error.message}`);
      await sleep(AGAIN_MS);
    }
  }
}

/** Opens a team when its servers are there. One that was lost since this process joined it is joined again. */
export async function openTeamWhenThere(
  config: TeamConfig & Pick<Config, 'waitForServers'>,
  batches: Batches,
  ui: Pick<RecoveryUi, 'signal' | 'note'>,
): Promise<Team> {
  const { waitForServers } = config;
  const open = () => openTeam(config, batches, ui.note);
  await untilThere(() => clusterOf(config), { waitForServers, ...ui });
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof ServerLostError) || waitForServers === null || ui.signal.aborted) throw error;
    ui.note?.(`waiting for the servers, up to ${waitForServers}: the server ${error.server} ${error.how}`);
    return await openAgain(config, runningTimeMs() + durationMs(waitForServers), { signal: ui.signal }, open);
  }
}
