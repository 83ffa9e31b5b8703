import { z } from "zod";

/**
 * Calls EDGR's API.
 * @param once names a POST where the path does not: the same call after a restart is answered as the first was
 */
export type Api = (method: string, path: string, body?: object, once?: string) => Promise<unknown>;

const page = z.object({ items: z.array(z.unknown()), nextCursor: z.string().nullable() });

export function openApi(base: string, apiKey: string): Api {
  return async (method, target, body, once = target) => {
    const response = await fetch(`${base}/api/v1${target}`, {
      method,
      headers: {
        Authorization: `Bearer ${apiKey}`,
        "Content-Type": "application/json",
        ...(method === "POST" ? { "Idempotency-Key": `demo ${once}` } : {}),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${target} was answered with ${response.status}: ${text}`);
    return JSON.parse(text);
  };
}

/** All pages of a list. */
export async function readAll(api: Api, path: string): Promise<unknown[]> {
  const all: unknown[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: "200", ...(cursor === null ? {} : { cursor }) });
    const { items, nextCursor } = page.parse(
      await api("GET", `${path}${path.includes("?") ? "&" : "?"}${query}`),
    );
    all.push(...items);
    cursor = nextCursor;
  } while (cursor !== null);
  return all;
}
