import { expect, test } from "bun:test";
import net from "node:net";
import { useInstallation } from "../support/installation.ts";

const KEY = "edgr_key_of_the_bad_input_test";

const installation = useInstallation();

/** Sends these bytes and reads until the server has closed the connection. */
function raw(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}

test("a server that is fed nonsense answers with 4xx, writes nothing and goes on", async () => {
  const { url } = await installation.start({ env: { ...installation.env(), EDGR_API_KEY: KEY } });
  const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" };
  const post = (path: string, body: string) =>
    fetch(`${url}/api/v1${path}`, { method: "POST", headers, body });
  const status = async (answer: Promise<Response>) => (await answer).status;

  const megabyte = "A".repeat(1_000_000);
  const longLine = `GET /api/tracking/pixel.gif?t=${megabyte} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  expect(await raw(url, longLine)).toMatch(/^(HTTP\/1\.1 4\d\d|$)/);
  expect(await raw(url, "NONSENSE\r\n\r\n")).toMatch(/^(HTTP\/1\.1 400|$)/);
  const smuggled = "/api/tracking/click?t=x&url=x%0d%0aSet-Cookie:%20a=b";
  const injected = await raw(url, `GET ${smuggled} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  expect(injected).toStartWith("HTTP/1.1 400");
  expect(injected.toLowerCase()).not.toContain("set-cookie");

  expect(await status(post("/contacts", `{"email": "${"a".repeat(2_000_000)}@example.com"}`))).toBe(413);
  expect(await status(post("/contacts", `${"[".repeat(100_000)}${"]".repeat(100_000)}`))).toBe(400);
  expect(await status(post("/contacts", '{"email": "a@example.com\\u0000"}'))).toBe(400);
  expect(await status(post("/contacts", '{"email": "a@example.com", "attributes": {"a": "\\ud800"}}'))).toBe(
    400,
  );
  expect(await status(post("/contacts", '{"email": "a@example.com", "__proto__": {"admin": true}}'))).toBe(
    400,
  );
  expect(await status(post("/contacts", '{"email": "a@example.com\\r\\nBcc: b@example.com"}'))).toBe(400);

  const contacts = await (await fetch(`${url}/api/v1/contacts`, { headers })).json();
  expect(contacts).toEqual({ items: [], nextCursor: null });
}, 60_000);
