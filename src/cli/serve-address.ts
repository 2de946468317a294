/** The address on which `serve` listens. */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { shortText } from '../config/validate.js';
import { ConfigError, SplitError, systemMessage } from '../errors.js';

export const DEFAULT_ADDRESS = '127.0.0.1:2222';

export interface ServeAddress {
  /** As it was typed: a name, or an IP address without brackets. */
  host: string;
  /** 0 for any free one. */
  port: number;
}

const MAX_PORT = 65_535;

/** @throws ConfigError unless the text is `HOST:PORT`; an IPv6 host is in brackets. */
export function parseAddress(text: string): ServeAddress {
  const [, v6, name, digits] = /^(?:\[([\da-f:.]+(?:%\w+)?)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const [host, port] = [v6 ?? name, Number(digits)];
  if (host !== undefined && port <= MAX_PORT) return { host, port };
  throw new ConfigError(
    `--address is ${shortText(text)}, expected HOST:PORT with a port from 0 to ${MAX_PORT}, such as ${DEFAULT_ADDRESS} or [::1]:2222`,
  );
}

/** `HOST:PORT`, with brackets around an IPv6 address. */
export function joined({ host, port }: ServeAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * The IP addresses that the host has on this machine.
 * @throws ConfigError if there is no such host, it is another machine, or another program uses the port; SplitError if the
 * system does not allow the port.
 */
export async function ownAddresses(asked: ServeAddress): Promise<string[]> {
  const doing = `Cannot serve on ${joined(asked)}`;
  let addresses: string[];
  try {
    addresses = (await lookup(asked.host, { all: true })).map(({ address }) => address);
  } catch {
    throw new ConfigError(
      `${doing}: there is no host ${asked.host}; use an address of this machine: ${machineAddresses().join(', ')}`,
    );
  }
  // TensorFlow would listen on all addresses, and say nothing about one that is not this machine's.
  for (const address of addresses) await tryToListen(address, asked.port, doing);
  return addresses;
}

async function tryToListen(address: string, port: number, doing: string): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ host: address, port }, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRNOTAVAIL') {
      throw new ConfigError(
        `${doing}: ${address} is not an address of this machine, expected one of ${machineAddresses().join(', ')}; choose one, or 0.0.0.0 for all of them`,
      );
    }
    if (code === 'EADDRINUSE') {
      throw new ConfigError(`${doing}: another program uses the port; choose another, or 0 for any free one`);
    }
    const advice = code === 'EACCES' ? 'choose a port from 1024 up' : 'choose another --address';
    throw new SplitError(`${doing}: ${systemMessage(error as Error)}; ${advice}`);
  }
}

/** The addresses of this machine, those that other machines reach first. */
export function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const usable = all.filter(({ address }) => !address.startsWith('fe80:'));
  return usable.sort((a, b) => Number(a.internal) - Number(b.internal)).map(({ address }) => address);
}

export function isLoopback(address: string): boolean {
  return /^(127\.|::1$|::ffff:127\.)/.test(address);
}

export function isEvery(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
