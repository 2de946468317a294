/** Addresses of machines and ports, as texts. */
import { isIP } from 'node:net';
import { ConfigError } from './errors.js';

export interface Address {
  /** A name or an IP address, an IPv6 address without brackets. */
  host: string;
  port: number;
}

/** Reads `HOST:PORT`; an IPv6 address is in brackets. @throws ConfigError for another text. @param what for the message. */
export function parseAddress(text: string, what: string): Address {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new ConfigError(
    `Cannot use the ${what} ${JSON.stringify(text)}: expected HOST:PORT, such as 10.0.0.2:2222 or [fd00::2]:2222`,
  );
}

/** @returns `HOST:PORT`, an IPv6 address in brackets. */
export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `HOST:PORT/GPU:0`; an IPv6 host is in brackets. */
const REMOTE_DEVICE = /^([^/]+:\d{1,5})\/([a-z_]+:\d+)$/i;

/** The parts of the name of a server's device, in any case; undefined for a device of this process. */
export function remoteDevice(name: string): { server: string; device: string } | undefined {
  const [, server, device] = REMOTE_DEVICE.exec(name.trim()) ?? [];
  return server === undefined ? undefined : { server: server.toLowerCase(), device: device!.toUpperCase() };
}

/** Whether only this machine reaches the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Whether a server that listens there listens on all addresses of its machine. */
export function isEvery(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
