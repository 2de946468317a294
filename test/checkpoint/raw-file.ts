/** Safetensors files with any header, written without the code under test. */

/**
 * The bytes of a file.
 * @param header JSON, or a value to be written as JSON.
 * @param body the values, or the number of zero bytes.
 * @param length the length that the file claims for its header; its true length by default.
 */
export function rawFile(header: unknown, body: Uint8Array | number, length?: bigint): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const lengthBytes = Buffer.alloc(8);
  lengthBytes.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([lengthBytes, json, typeof body === 'number' ? Buffer.alloc(body) : body]);
}
