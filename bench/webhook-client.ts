// The client that EDGR calls endpoints with, without a database: `bun webhook-client.ts <order as JSON>`.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { createEgress } from "../src/egress/client.ts";
import { resolveBySystem } from "../src/egress/resolve.ts";
import { newId } from "../src/events/id.ts";
import { exampleTold } from "../src/webhooks/catalogue.ts";
import { renderEvent } from "../src/webhooks/render.ts";
import { signatureHeaders, webhookId } from "../src/webhooks/sign.ts";

export const clientOrder = z.object({
  urls: z.array(z.string()),
  secret: z.string(),
  signingKey: z.string(),
  seconds: z.number(),
  connections: z.number(),
});

const order = clientOrder.parse(JSON.parse(process.argv[2] ?? ""));
const egress = createEgress({ allow: ["127.0.0.0/8"], resolve: resolveBySystem });
const customerId = newId();
let sent = 0;
let isOver = false;

async function work(first: number): Promise<void> {
  for (let number = first; !isOver; number += 1) {
    const url = order.urls[number % order.urls.length] ?? "";
    const eventId = newId();
    const at = new Date();
    const body = renderEvent("custom", exampleTold("email_opened", { customerId, eventId, at }), "", {
      isTest: false,
    });
    const message = {
      id: webhookId("event", eventId),
      timestamp: Math.floor(at.getTime() / 1_000),
      body,
    };
    const headers = signatureHeaders(message, { secrets: [order.secret], signingKey: order.signingKey });
    const result = await egress.send({
      url,
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": "EDGR-Webhooks/1", ...headers },
      body,
      deadlineMs: 15_000,
      maxBodyBytes: 16_384,
    });
    if (!result.ok || result.status !== 200) throw new Error("the sink did not take a request");
    sent += 1;
  }
}

const workers = Array.from({ length: order.connections }, (_, number) => work(number));
// As EDGR is measured: when it is warm.
await sleep(2_000);
const before = sent;
const begun = performance.now();
await sleep(order.seconds * 1_000);
const perSecond = ((sent - before) / (performance.now() - begun)) * 1_000;
isOver = true;
await Promise.all(workers);
console.log(JSON.stringify({ perSecond }));
process.exit(0);
