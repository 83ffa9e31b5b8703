import { expect, test } from "bun:test";
import net from "node:net";
import { AppError } from "../errors.ts";
import { type App, findPort, listen } from "./server.ts";

const HOST = "127.0.0.1";
const FOREVER_MS = 60_000;

async function serve(app: App) {
  const port = await findPort({ host: HOST, port: 0 });
  return { port, url: `http://${HOST}:${port}`, ...listen(app, { host: HOST, port }) };
}

/** An app whose answers wait until they are let go. */
function slowApp() {
  const asked = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const app: App = {
    async fetch() {
      asked.resolve();
      await letGo.promise;
      return new Response("answered");
    },
  };
  return { app, asked: asked.promise, letGo: letGo.resolve };
}

test("a stop answers what has been asked and takes nothing more", async () => {
  const { app, asked, letGo } = slowApp();
  const server = await serve(app);
  const answer = fetch(server.url);
  await asked;

  const stopped = server.stop(FOREVER_MS);
  await expect(fetch(server.url)).rejects.toThrow();
  letGo();

  expect(await (await answer).text()).toBe("answered");
  await stopped;
});

test("a stop does not wait longer than it may for a request that never ends", async () => {
  const { app, asked, letGo } = slowApp();
  const server = await serve(app);
  const answer = fetch(server.url).catch(() => "cut off");
  await asked;

  await server.stop(1);

  expect(await answer).toBe("cut off");
  letGo();
});

test("an idle connection does not hold up a stop", async () => {
  const server = await serve({ fetch: () => new Response("ok") });
  const idle = net.connect(server.port, HOST);
  await new Promise((resolve) => idle.once("connect", resolve));
  await (await fetch(server.url)).text();

  await server.stop(FOREVER_MS);

  idle.destroy();
});

test("the app learns the address of its client", async () => {
  const server = await serve({ fetch: (_request, { ip }) => new Response(ip) });

  expect(await (await fetch(server.url)).text()).toBe(HOST);

  await server.stop(FOREVER_MS);
});

test("a port that is taken is refused with a sentence", async () => {
  const server = await serve({ fetch: () => new Response() });
  const address = { host: HOST, port: server.port };
  const refusal = new AppError(
    "unavailable",
    `EDGR cannot listen on ${HOST}:${server.port}: another program does already. Set PORT to another port.`,
  );

  await expect(findPort(address)).rejects.toThrow(refusal);
  expect(() => listen({ fetch: () => new Response() }, address)).toThrow(refusal);

  await server.stop(FOREVER_MS);
});

test("a host that is not of this machine is refused with a sentence", async () => {
  await expect(findPort({ host: "192.0.2.1", port: 0 })).rejects.toThrow(
    /^EDGR cannot listen on 192\.0\.2\.1:0/,
  );
});
