import { type Event, newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import type { TestApp } from "./app.ts";
import { append, projectAll } from "./campaigns.ts";

/** An event of the app's customer, appended and projected, so that endpoints that are there are owed it. @returns its id */
export async function happenIn(
  { database, customer }: TestApp,
  type: Event["type"],
  more: Partial<Event> = {},
): Promise<string> {
  const event = newEvent({ id: newId(), type, at: new Date(), customerId: customer.id, ...more });
  await append(database.db, event);
  await projectAll(database.db);
  return event.id;
}

/** An endpoint of the app's customer, by its API. @returns its id */
export async function addEndpoint(api: TestApp, settings: object = {}): Promise<string> {
  const body = { type: "custom", url: "https://hooks.example.com/edgr", ...settings };
  const answer = await api.call("POST", "/api/v1/webhooks/endpoints", { body });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.id;
}
