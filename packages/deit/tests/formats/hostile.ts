/** Hand-made safetensors files for tests: any header text, any length field, any amount of data. */

/** A file of this header text and `dataBytes` zeros; `length` overrides the length field. */
export function file(header: string | Uint8Array, dataBytes: number, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.byteLength), true);
  bytes.set(text, 8);
  return bytes;
}
