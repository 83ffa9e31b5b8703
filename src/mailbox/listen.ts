import type { SMTPServer } from "smtp-server";

export type Listening = { port: number; close(): Promise<void> };

/**
 * Lets an SMTP server listen on loopback.
 * @param port 0 for a free one
 * @throws the system's error when it can't
 */
export async function listenOnLoopback(server: SMTPServer, port: number): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
