/** `sizeBytes`: what Telegram says of it, where that is not so. */
export type StandInFile = { path: string; bytes: Uint8Array; sizeBytes?: number };

const MAX_BYTES = 20 * 1024 * 1024;
const REFUSED = { ok: false, error_code: 400 };

/** The files that people sent to bots, as `getFile` finds them and `/file/` gives them. */
export function createTelegramFiles() {
  const files = new Map<string, StandInFile>();
  const nameOf = (botId: number, fileId: string) => `${botId} ${fileId}`;

  return {
    set(botId: number, fileId: string, file: StandInFile | null): void {
      if (file === null) files.delete(nameOf(botId, fileId));
      else files.set(nameOf(botId, fileId), file);
    },

    find(botId: number, fileId: string): { status: number; body: object } {
      const file = files.get(nameOf(botId, fileId));
      if (file === undefined) {
        const description = "Bad Request: wrong file_id or the file is temporarily unavailable";
        return { status: 400, body: { ...REFUSED, description } };
      }
      const { path, bytes, sizeBytes = bytes.length } = file;
      if (sizeBytes > MAX_BYTES)
        return { status: 400, body: { ...REFUSED, description: "Bad Request: file is too big" } };
      const result = { file_id: fileId, file_unique_id: fileId, file_size: sizeBytes, file_path: path };
      return { status: 200, body: { ok: true, result } };
    },

    read(botId: number, path: string): { status: number; body: object | Uint8Array } {
      const found = [...files].find(([name, file]) => name.startsWith(`${botId} `) && file.path === path);
      if (found === undefined)
        return { status: 404, body: { ok: false, error_code: 404, description: "Not Found" } };
      return { status: 200, body: found[1].bytes };
    },
  };
}
