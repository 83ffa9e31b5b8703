const MAX_BODY_BYTES = 16 * 1024;

/**
 * The form a POST carries, as RFC 8058 asks for it (multipart/form-data) or allows it
 * (application/x-www-form-urlencoded); null for anything else, and for what is too large.
 */
export async function readForm(request: Request): Promise<FormData | null> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^(?:multipart\/form-data|application\/x-www-form-urlencoded)\s*(?:;|$)/i.test(type)) return null;
  try {
    const body = await readBody(request);
    return body === null ? null : await new Response(body, { headers: { "Content-Type": type } }).formData();
  } catch {
    return null; // malformed, or the client went away
  }
}

async function readBody(request: Request): Promise<Blob | null> {
  if (request.body === null || Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES)
    return null;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return new Blob(chunks);
}
