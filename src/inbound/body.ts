/** @returns null for a body that is longer */
export async function readAtMost(request: Request, maxBytes: number): Promise<Uint8Array | null> {
  const announced = request.headers.get("Content-Length");
  if (Number(announced ?? 0) > maxBytes) return null;
  if (announced !== null) return new Uint8Array(await request.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @returns null for what is not UTF-8 */
export function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
