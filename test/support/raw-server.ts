import { once } from "node:events";
import { createServer, type Socket } from "node:net";

/** What is done with a connection when a request, or the begin of one, has come over it. */
export type RawBehaviour = (socket: Socket) => void;

export type RawServer = {
  port: number;
  url: string;
  /** How often somebody connected. */
  connections(): number;
  close(): void;
};

/** A server on loopback of which HTTP libraries make none: it breaks off, and says what is no answer. */
export async function startRawServer(behave: RawBehaviour): Promise<RawServer> {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    socket.once("data", () => behave(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}/`,
    connections: () => connections,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n";

/** Sends a text, and leaves the connection open. */
export function say(text: string): RawBehaviour {
  return (socket) => void socket.write(text);
}

/** Sends a text and ends in the orderly way. */
export function sayAndClose(text: string): RawBehaviour {
  return (socket) => void socket.end(text);
}

/** Sends a text and breaks off with an RST. */
export function sayAndReset(text: string): RawBehaviour {
  return (socket) => {
    if (text === "") socket.resetAndDestroy();
    else socket.write(text, () => socket.resetAndDestroy());
  };
}

/** Sends a text, then one byte at a time, for ever. */
export const sayAndDrip = (text: string, everyMs: number) => sayForEver(text, "a", everyMs);

/** Sends a text, then another one again and again. @param everyMs 0: as fast as it is read */
export function sayForEver(text: string, again: string, everyMs: number): RawBehaviour {
  return (socket) => {
    socket.write(text);
    const more = () => {
      while (!socket.destroyed && socket.write(again) && everyMs === 0);
    };
    const timer = everyMs === 0 ? null : setInterval(more, everyMs);
    socket.on("close", () => timer !== null && clearInterval(timer));
    if (everyMs === 0) socket.on("drain", more);
    more();
  };
}

/** Answers that are not complete, and never will be. */
export const BROKEN_OFF: { [name: string]: RawBehaviour } = {
  "a reset instead of an answer": sayAndReset(""),
  "a reset in the headers": sayAndReset("HTTP/1.1 200 OK\r\nX-Half: "),
  "a reset after the headers": sayAndReset(`${HEAD}\r\n`),
  "a reset in the body": sayAndReset(`${HEAD}\r\nhalf`),
  "a close instead of an answer": sayAndClose(""),
  "a close in the headers": sayAndClose("HTTP/1.1 200 OK\r\nX-Half: "),
  "a close in the body": sayAndClose(`${HEAD}\r\nhalf`),
  "a close in a chunk": sayAndClose("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"),
};
