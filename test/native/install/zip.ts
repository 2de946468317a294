/** Writes zip archives, good and bad ones, without compression: as much of a wheel as the set-up reads. */
import fs from 'node:fs';

export interface ZipEntry {
  path: string;
  bytes: Uint8Array;
  /** Unix permissions. */
  mode?: number;
  /** The checksum that is written down, where it is to be wrong. */
  crc?: number;
}

/** Layout: APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16. */
export function writeZip(file: string, entries: readonly ZipEntry[]): void {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { path, bytes, mode = 0o644, crc = crc32(bytes) } of entries) {
    const name = Buffer.from(path);
    const common = Buffer.alloc(26); // from "version needed" to "extra field length"
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2); // names are UTF-8
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const piece = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, bytes]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(mode * 0x10000, 6);
    rest.writeUInt32LE(offset, 10);
    // Made by Unix (3), whose permissions are in the upper half of the external attributes.
    central.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.of(20, 3), common, rest, name]));
    local.push(piece);
    offset += piece.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  fs.writeFileSync(file, Buffer.concat([...local, directory, end]));
}

/** The zip checksum, bit by bit: node:zlib has it only from Node.js 20.15 on. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const SUFFIX = process.platform === 'darwin' ? '2.dylib' : 'so.2';
export const FRAMEWORK = `libtensorflow_framework.${SUFFIX}`;
export const TENSORFLOW = `libtensorflow_cc.${SUFFIX}`;
