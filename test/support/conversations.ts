import { contactRoutes } from "../../src/contacts/routes.ts";
import { conversationMessageRoutes } from "../../src/conversations/message-routes.ts";
import { conversationRoutes } from "../../src/conversations/routes.ts";
import { type Event, newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import { appendEvents } from "../../src/events/queries.ts";
import { type Bubble, insertBubbles } from "../../src/inbound/ses/received-queries.ts";
import { messageRoutes } from "../../src/messages/routes.ts";
import { suppressionRoutes } from "../../src/suppressions/routes.ts";
import type { Answer } from "./app.ts";
import { append, createCredential } from "./campaigns.ts";
import { createTelegramEdge, type TelegramEdge } from "./telegram-edge.ts";

export type Inbox = TelegramEdge & {
  smtpId: string;
  /** What `call` answers below /api/v1. */
  ask(method: string, path: string, body?: object): Promise<Answer>;
  /** The same, when it is a 2xx. */
  ok(method: string, path: string, body?: object): Promise<Answer["body"]>;
  addContact(fields: { email?: string; telegramChatId?: number; attributes?: object }): Promise<string>;
  /** A mail of a contact's is there, and in the log. @returns its message */
  receiveMail(contactId: string, mail?: Partial<Bubble>): Promise<string>;
  /** It happened to an outbound message of no campaign. */
  happen(contactId: string, messageId: string, type: Event["type"], more?: Partial<Event>): Promise<void>;
};

/** The app with a bot, a mail server and conversations. Close it in `afterAll`. */
export async function createInbox(): Promise<Inbox> {
  const now = () => new Date();
  const edge = await createTelegramEdge([
    contactRoutes(),
    suppressionRoutes({ now }),
    messageRoutes({ now }),
    conversationRoutes(),
    conversationMessageRoutes({ now, onAppend: () => {} }),
  ]);
  const { db } = edge.database;
  const customerId = edge.customer.id;
  const smtpId = await createCredential(db, customerId, { fromName: "News" });
  const ask = (method: string, path: string, body?: object) => edge.call(method, `/api/v1${path}`, { body });

  async function ok(method: string, path: string, body?: object): Promise<Answer["body"]> {
    const answer = await ask(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  return {
    ...edge,
    smtpId,
    ask,
    ok,
    addContact: async (fields) => (await ok("POST", "/contacts", fields)).id,
    async receiveMail(contactId, mail = {}) {
      const bubble = { ...mailOf(customerId, contactId, smtpId), ...mail };
      await db.transaction().execute(async (transaction) => {
        await insertBubbles(transaction, [bubble]);
        await appendEvents(transaction, [receivedEvent(bubble)]);
      });
      return bubble.messageId;
    },
    async happen(contactId, messageId, type, more = {}) {
      await append(
        db,
        newEvent({ id: newId(), type, at: new Date(), customerId, messageId, contactId, ...more }),
      );
      await edge.project();
    },
  };
}

function mailOf(customerId: string, contactId: string, credentialId: string): Bubble {
  return {
    customerId,
    contactId,
    credentialId,
    messageId: newId(),
    eventId: newId(),
    campaignId: null,
    answersMessageId: null,
    matchedBy: "sender",
    at: new Date(),
    to: "reply@in.example.com",
    sesMessageId: newId(),
    fromAddress: "ann@example.com",
    fromName: "Ann",
    subject: "Question",
    messageIdHeader: "<m1@mail.example>",
    references: [],
    kind: "person",
    text: "Hello?",
    wholeText: "Hello?",
    html: null,
    attachments: [],
  };
}

/** What `recordReceived` says of a mail. */
export function receivedEvent({ customerId, contactId, messageId, kind, at, subject }: Bubble): Event {
  const type = kind === "person" ? ("message_received" as const) : ("auto_reply_received" as const);
  const about = { id: newId(), type, at, customerId, messageId, contactId };
  return newEvent({ ...about, data: { kind, subject, provider: "ses" } });
}
