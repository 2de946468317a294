/**
 * What the training steps of a run with servers send over the network: counted from the table of the net, and measured by the
 * counters of this process's sockets. Evaluations and checkpoints do not count.
 */

import { isLoopback, parseAddress } from '../address.js';
import { bytesOf } from '../checkpoint/safetensors.js';
import type { FoundCluster } from '../cluster/cluster.js';
import type { Config } from '../config/config.js';
import { remoteDevice } from '../config/servers.js';
import { imageBytes } from '../data/index.js';
import type { EventOf, Report } from '../log.js';
import { buildNet, parametersOf, sitesOf, volume } from '../model/net.js';
import { ownersOf } from '../model/owners.js';
import { TrafficMeter } from '../native/c/sockets.js';
import { isFrozen } from '../optim/schedule.js';
import type { StepCommand, StepReply } from '../tower/protocol.js';
import type { Team } from './team.js';

export const COORDINATOR = 'coordinator';

type Link = EventOf<'network'>['links'][number];
type Content = Link['contents'][number];

/** Of a tower's parameters. */
type Shapes = readonly (readonly number[])[];

/** A tensor's way. */
interface Way extends Content {
  from: string;
  to: string;
}

/** The process that a device belongs to: the address of a server, or the coordinator. */
export function processOf(device: string): string {
  return remoteDevice(device)?.server ?? COORDINATOR;
}

/**
 * What one step sends from process to process.
 * @param replies the towers', with `sent`. @param devices the towers', in the same order. @param image bytes of one.
 */
export function waysOf(
  config: Pick<Config, 'net' | 'placement' | 'exchange' | 'replicas' | 'average'> & Partial<Pick<Config, 'optimizer'>>,
  devices: readonly string[],
  replies: readonly StepReply[],
  image: number,
): Way[] {
  const { net: options, placement, exchange, replicas, average, optimizer = {} } = config;
  const net = buildNet(options);
  const sites = new Map(sitesOf(net).map(({ name, shape }) => [name, volume(shape)]));
  const width = exchange.dtype === 'float16' && exchange.transport === 'msgpack' ? 2 : 4;
  const parts = placement === 'split' ? 2 : 1;
  const ways = replies.flatMap(({ images, loss, sent = [] }, tower): Way[] => {
    const own = processOf(devices[tower]!);
    const part = tower % parts;
    const peer = placement === 'split' ? processOf(devices[tower + 1 - 2 * part]!) : own;
    const crossing = sent.flatMap(({ site, direction }): Way[] => {
      if (!sites.has(site)) return []; // the norms, which the towers' threads exchange
      const what = direction === 'forward' ? 'activations' : 'gradients';
      const content = { what, site, bytes: images * sites.get(site)! * width } as const;
      if (exchange.transport === 'device') return [{ from: own, to: peer, ...content }];
      return [
        { from: own, to: COORDINATOR, ...content },
        { from: COORDINATOR, to: peer, ...content },
      ];
    });
    const answers = 4 + (loss === undefined ? 0 : 4 + 4 * images * options.classes);
    return [
      { from: COORDINATOR, to: own, what: 'images', bytes: images * image },
      ...crossing,
      { from: own, to: COORDINATOR, what: 'answers', bytes: answers },
    ];
  });
  for (let part = 0; replicas > 1 && part < parts; part++) {
    const places = Array.from({ length: replicas }, (_, i) => processOf(devices[i * parts + part]!));
    const shapes = parametersOf(net, placement === 'split' ? (part as 0 | 1) : undefined)
      .filter(({ layer }) => !isFrozen(layer, optimizer))
      .map(({ shape }) => shape);
    ways.push(...(average === 'collective' ? ringWays(shapes, places) : ownerWays(shapes, places)));
  }
  return ways.filter(({ from, to }) => from !== to);
}

/** Each gradient goes to the parameter's owner, and the sum goes back. @param places by replica. */
function ownerWays(shapes: Shapes, places: readonly string[]): Way[] {
  return ownersOf(shapes, places.length).flatMap((owner, i) => {
    const content = { what: 'average', bytes: bytesOf(shapes[i]!) } as const;
    const [to, others] = [places[owner]!, places.filter((_, replica) => replica !== owner)];
    return others.flatMap((from) => [
      { from, to, ...content },
      { from: to, to: from, ...content },
    ]);
  });
}

/** In a ring each replica sends its gradients to the next one in as many parts as there are replicas, all but one, twice. */
function ringWays(shapes: Shapes, places: readonly string[]): Way[] {
  const share = (2 * (places.length - 1)) / places.length;
  const bytes = Math.round(share * shapes.reduce((sum, shape) => sum + bytesOf(shape), 0));
  return places.map((from, i) => ({ from, to: places[(i + 1) % places.length]!, what: 'average', bytes }));
}

/** Counts and measures the training steps of a run. Without servers it does nothing. */
export interface Network {
  /** To be used instead of the given team. */
  team: Team;
  /** Reports what the steps sent, if there were any. @param step the last one. */
  report(step: number, report: Report): void;
}

export function openNetwork(config: Config, given: Team): Network {
  const { cluster, towers } = given;
  if (!cluster) return { team: given, report: () => {} };
  const devices = towers.map(({ setup }) => setup.device);
  const { exchange, layout } = towers[0]!.setup; // `device` may have fallen back
  const machines = machinesOf(cluster);
  const links = new Map<string, Link>();
  const measured = new Map<string, number>();
  const meter = new TrafficMeter();
  /** The readings when the steps began that are not measured yet. */
  let since: Map<string, number> | undefined;
  let isFirst = true;
  let steps = 0;

  function read(): Map<string, number> {
    const bytes = new Map<string, number>();
    for (const { address, direction, port, sent, received } of meter.read()) {
      const server = machines.measured(address, direction, port);
      if (server === undefined) continue;
      const [out, back] = [keyOf(COORDINATOR, server), keyOf(server, COORDINATOR)];
      bytes.set(out, (bytes.get(out) ?? 0) + sent);
      bytes.set(back, (bytes.get(back) ?? 0) + received);
    }
    return bytes;
  }

  function pause(): void {
    if (!since) return;
    for (const [key, bytes] of read()) measured.set(key, (measured.get(key) ?? 0) + bytes - (since.get(key) ?? 0));
    since = undefined;
  }

  async function step(ask: () => Promise<StepReply[]>): Promise<StepReply[]> {
    if (!isFirst) since ??= read();
    const replies = await ask();
    // The first step compiles: functions go to the servers.
    if (!isFirst) {
      steps++;
      for (const way of waysOf({ ...config, exchange }, devices, replies, imageBytes(layout)))
        add(links, machines.nameOf, way);
    }
    isFirst = false;
    return replies;
  }

  const ask: Team['ask'] = async (command, memory, some) => {
    const { kind, ...more } = command as StepCommand;
    if (kind === 'step' && more.update) {
      return (await step(() => given.ask({ kind, ...more, bySite: true }, memory, some))) as never;
    }
    pause();
    return await given.ask(command, memory, some);
  };
  return {
    team: { ...given, ask },
    report(last, report) {
      pause();
      if (steps === 0) return;
      const all = [...links].map(([key, link]) => {
        const bytes = measured.get(key);
        return { ...link, ...(bytes !== undefined && { measured_bytes: bytes }) };
      });
      report({ event: 'network', step: last, steps, links: all });
    },
  };
}

function keyOf(from: string, to: string): string {
  return `${from} > ${to}`;
}

function add(links: Map<string, Link>, nameOf: (process: string) => string, { from, to, ...content }: Way): void {
  const ends = { from: nameOf(from), to: nameOf(to) };
  const link = links.get(keyOf(ends.from, ends.to)) ?? { ...ends, counted_bytes: 0, contents: [] };
  links.set(keyOf(ends.from, ends.to), link);
  link.counted_bytes += content.bytes;
  const known = link.contents.find(({ what, site }) => what === content.what && site === content.site);
  if (known) known.bytes += content.bytes;
  else link.contents.push(content);
}

/** Names of the servers: those on one machine together, because connections that they open do not tell which one did. */
function machinesOf({ servers, machines, coordinator }: FoundCluster) {
  const machineOf = (ip: string) => (isLoopback(ip) ? 'loopback' : ip);
  const names = new Map<string, string[]>();
  for (const [i, server] of servers.entries()) {
    const machine = machineOf(machines[i]!);
    names.set(machine, [...(names.get(machine) ?? []), server]);
  }
  const nameOn = (machine: string) => names.get(machine)?.join(' and ');
  const ports = new Set(servers.map((server) => parseAddress(server, 'server').port));
  const own = parseAddress(coordinator, 'coordinator').port;
  return {
    nameOf: (process: string) =>
      process === COORDINATOR ? process : nameOn(machineOf(machines[servers.indexOf(process)]!))!,
    /** The servers that a connection is with; undefined for a connection of something else. */
    measured: (address: string, direction: 'in' | 'out', port: number) =>
      (direction === 'in' ? port === own : ports.has(port)) ? nameOn(machineOf(address)) : undefined,
  };
}
