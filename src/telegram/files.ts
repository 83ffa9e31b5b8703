import type { Egress } from "../egress/client.ts";
import type { BotApi } from "./api.ts";

/** `name`: the last part of where Telegram has it, such as `file_1.jpg`. */
export type FetchedFile =
  | { ok: true; bytes: Buffer; name: string }
  /** `reason`: a sentence, without the token. */
  | { ok: false; failure: "gone" | "too_large" | "unavailable"; reason: string };

/** Never rejects; no answer holds the token. */
export type FetchFile = (token: string, fileId: string) => Promise<FetchedFile>;

export type FileFetchOptions = {
  api: Pick<BotApi, "getFile">;
  /** EDGR_TELEGRAM_API_ROOT; nothing else is ever called. */
  apiRoot: string;
  egress: Pick<Egress, "send">;
  /** For the file itself, after Telegram has said where it is. */
  withinMs: number;
};

/** What the Bot API gives at most (protocols 3.7). */
export const MAX_FILE_BYTES = 20 * 1024 * 1024;

const TOO_LARGE: FetchedFile = {
  ok: false,
  failure: "too_large",
  reason: "The file is larger than the 20 MiB that a bot can get from Telegram.",
};
const GONE: FetchedFile = { ok: false, failure: "gone", reason: "Telegram no longer has the file." };
const TOO_BIG = /file is too big/i;

/** Fetches files that people sent to bots, each whole. Where Telegram has them is asked anew each time: it changes. */
export function createFileFetch({ api, apiRoot, egress, withinMs }: FileFetchOptions): FetchFile {
  return async (token, fileId) => {
    const found = await api.getFile(token, fileId);
    if (!found.ok) {
      if (TOO_BIG.test(found.description)) return TOO_LARGE;
      const isFile = found.failure === "content" || found.failure === "refused";
      return isFile ? GONE : unavailable(`Telegram does not give the file: ${found.description}`);
    }
    const { filePath, sizeBytes } = found.value;
    if (sizeBytes !== null && sizeBytes > MAX_FILE_BYTES) return TOO_LARGE;
    const path = filePath === null ? null : safePath(filePath);
    if (path === null) return unavailable("Telegram does not say where the file is.");
    const answer = await egress.send({
      url: `${apiRoot}/file/bot${token}/${path}`,
      method: "GET",
      headers: {},
      body: null,
      deadlineMs: withinMs,
      maxBodyBytes: MAX_FILE_BYTES,
    });
    if (!answer.ok) return unavailable(answer.reason);
    if (answer.status === 404 || answer.status === 410) return GONE;
    if (answer.status !== 200) return unavailable(`Telegram answers with the status ${answer.status}.`);
    if (answer.isTruncated) return TOO_LARGE;
    return { ok: true, bytes: answer.body, name: filePath?.split("/").at(-1) ?? "" };
  };
}

/**
 * A path below the bot's own files. A Bot API server that runs with `--local` names a file of its disk, which only
 * programs on that machine could read.
 * @returns null for one that leads elsewhere
 */
function safePath(path: string): string | null {
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return null;
  return parts.map(encodeURIComponent).join("/");
}

function unavailable(reason: string): FetchedFile {
  return { ok: false, failure: "unavailable", reason };
}
