/** `report --follow`: serves the page of a report while the run trains. Others cannot reach it, or do not know its token. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { signalExitCode } from '../end-signals.js';
import { LogAnalysis } from '../report/analyse.js';
import { livePage, reportPage } from '../report/html.js';
import type { Report, RunReport } from '../report/model.js';
import { makeReport } from '../report/report.js';
import { withKernels } from '../report/run-kernels.js';
import { findLogs, type LogPlace, placeOfLog } from './find-log.js';
import { createLoopbackServer, isOwnName, listenOnLoopback } from './loopback.js';
import type { Services } from './services.js';
import { stopOnSignal } from './stop.js';

/** Logs are read again after this time at the earliest, however many pages are open. */
const FRESH_MS = 500;
const TOKEN_BYTES = 24;
const LIVE = 'live.json';
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Serves the page until a signal ends it, also after the end of the run. Prints the address.
 * @param names as for `report`. The log of a single run need not exist yet, and with `wait` not its folder.
 * @returns the signal's exit code.
 * @throws ConfigError if there is no such run, or the port is in use.
 */
export async function follow(
  names: readonly string[],
  { port = 0, wait }: { port?: number; wait?: boolean },
  { stdout, stderr }: Services,
): Promise<number> {
  const places =
    names.length > 1
      ? findLogs(names, 'follow', (sentence) => stderr.print(`warning: ${sentence}`))
      : [placeOfLog(names[0], 'follow', wait)];
  if (names.length === 0) stderr.print(`the newest run: ${places[0]!.folder}`);
  const report = liveReport(places);
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const server = createLoopbackServer((request, response) => void answer(request, response, token, report));
  const stop = stopOnSignal(() => {});
  try {
    const address = await listenOnLoopback(server, port, 'the report', '--port');
    stdout.print(`${address}/?token=${token}`);
    stderr.print('open this address in a browser of this machine; Ctrl-C ends the page, not the training');
    for (const { file } of places) if (!existsSync(file)) stderr.print(`waiting for ${file}, which does not exist yet`);
    if (!stop.signal.aborted) await once(stop.signal, 'abort'); // a signal may have come before the port was open
    return signalExitCode(String(stop.signal.reason));
  } finally {
    stop.dispose();
    server.close();
    server.closeAllConnections();
  }
}

/** Reads what the logs say whenever somebody asks, each time only what was added. */
function liveReport(places: readonly LogPlace[]): () => Promise<Report> {
  const logs = places.map(({ file, folder }) => ({ file, analysis: new LogAnalysis(file, folder) }));
  const weights = new Map<string, { key: string; found: Pick<RunReport, 'kernels' | 'kernelPicture'> }>();
  let reading: Promise<Report> | undefined;

  /** Weights are read again only when there are others. */
  async function completed(run: RunReport): Promise<RunReport> {
    const key = JSON.stringify([run.status, run.checkpoints.at(-1)?.step]);
    if (weights.get(run.folder)?.key !== key) {
      const { kernels, kernelPicture } = await withKernels(run);
      weights.set(run.folder, { key, found: { kernels, ...(kernelPicture !== undefined && { kernelPicture }) } });
    }
    return { ...run, ...weights.get(run.folder)!.found };
  }

  async function read(): Promise<Report> {
    const runs: RunReport[] = [];
    for (const { file, analysis } of logs) {
      if (existsSync(file)) await analysis.update();
      runs.push(await completed(analysis.report()));
    }
    return makeReport(runs);
  }

  return () => {
    if (!reading) {
      const forget = () => setTimeout(() => (reading = undefined), FRESH_MS).unref();
      reading = read();
      reading.then(forget, forget);
    }
    return reading;
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  report: () => Promise<Report>,
): Promise<void> {
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}) => {
    const length = Buffer.byteLength(body);
    response.writeHead(status, { ...HEADERS, 'content-type': type, 'content-length': length, ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  const refuse = (status: number, why: string, headers?: Record<string, string>) =>
    send(status, 'text/plain; charset=utf-8', `${why}\n`, headers);
  if (!isOwnName(request)) return refuse(403, 'expected the host name 127.0.0.1 or localhost');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refuse(405, 'expected GET or HEAD', { allow: 'GET, HEAD', connection: 'close' });
  }
  const [path, query = ''] = (request.url ?? '').split('?', 2) as [string, string?];
  if (!isEqual(new URLSearchParams(query).get('token') ?? '', token)) {
    return refuse(403, 'expected the token of the address that alexnet-split has printed');
  }
  try {
    if (path === '/') send(200, 'text/html; charset=utf-8', reportPage(await report(), { live: LIVE }));
    else if (path === `/${LIVE}`) {
      const found = await report();
      const isFinal = found.runs.every(({ status }) => ['done', 'failed', 'stopped'].includes(status));
      const body = JSON.stringify(livePage(found, { live: LIVE }));
      send(200, 'application/json', body, isFinal ? { 'report-final': 'yes' } : {});
    } else refuse(404, 'there is only the page of the report');
  } catch (error) {
    refuse(500, (error as Error).message); // the page asks again
  }
}

/** Takes the same time wherever the texts differ. */
function isEqual(given: string, token: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(token));
}
