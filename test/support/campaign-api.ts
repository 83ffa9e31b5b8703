import { analyticsRoutes } from "../../src/campaigns/analytics-routes.ts";
import { doubleOptInRoutes } from "../../src/campaigns/double-opt-in-routes.ts";
import { enrollRoutes } from "../../src/campaigns/enroll-routes.ts";
import { enrollmentRoutes } from "../../src/campaigns/enrollment-routes.ts";
import { campaignPreviewRoutes } from "../../src/campaigns/preview-routes.ts";
import { progressRoutes } from "../../src/campaigns/progress-routes.ts";
import { campaignRoutes } from "../../src/campaigns/routes.ts";
import { testSendRoutes } from "../../src/campaigns/test-send-routes.ts";
import { activityRoutes } from "../../src/contacts/activity-routes.ts";
import { contactRoutes } from "../../src/contacts/routes.ts";
import { credentialRoutes } from "../../src/credentials/routes.ts";
import { awsItself } from "../../src/credentials/ses-setup-aws.ts";
import { sesSetupRoutes } from "../../src/credentials/ses-setup-routes.ts";
import { botWebhookRoutes } from "../../src/credentials/telegram-webhook-routes.ts";
import { failed } from "../../src/egress/result.ts";
import type { ApiRoutes } from "../../src/http/env.ts";
import { refusalRoutes } from "../../src/imports/refusal-routes.ts";
import { importRoutes } from "../../src/imports/routes.ts";
import { inboundRoutes } from "../../src/inbound/routes.ts";
import { sesTopicRoutes } from "../../src/inbound/ses/topic-routes.ts";
import { telegramLinkRoutes } from "../../src/inbound/telegram/link-routes.ts";
import { messageRoutes } from "../../src/messages/routes.ts";
import { segmentRoutes } from "../../src/segments/routes.ts";
import { suppressionRoutes } from "../../src/suppressions/routes.ts";
import { TELEGRAM_ITSELF } from "../../src/telegram/api.ts";
import { templatePreviewRoutes } from "../../src/templates/preview-routes.ts";
import { templateRoutes } from "../../src/templates/routes.ts";
import { contactTopicRoutes } from "../../src/topics/contact-routes.ts";
import { topicRoutes } from "../../src/topics/routes.ts";
import { createTokens } from "../../src/tracking/token.ts";
import { type Answer, createTestApp, type TestApp, type TestCustomer } from "./app.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import { noBots, testBotApi } from "./telegram.ts";

export const TEST_TOKENS = createTokens([{ kid: "t1", secret: Buffer.alloc(32, 7), retired: false }]);

const PUBLIC_URL = "https://edgr.example.com";

const nowhere = async () => failed("refused", "Nothing leaves a test.");

export type CampaignApi = TestApp & {
  /** What `call` answers, when that is a 2xx. */
  ok(method: string, path: string, body?: unknown, customer?: TestCustomer): Promise<Answer["body"]>;
};

/** The app with everything that campaigns need. Close it in `afterAll`. */
export async function createCampaignApi({
  now = () => new Date(),
  answerWithinMs = 5_000,
  bots = noBots(),
  botApi = testBotApi({ apiRoot: TELEGRAM_ITSELF, egress: { send: nowhere } }),
} = {}): Promise<CampaignApi> {
  const encryptionKey = TEST_ENCRYPTION_KEY;
  const log = { error: () => {} };
  const resources: ApiRoutes[] = [
    importRoutes("contacts"),
    refusalRoutes("contacts", { log }),
    importRoutes("suppressions"),
    refusalRoutes("suppressions", { log }),
    contactRoutes(),
    activityRoutes(),
    segmentRoutes({ now }),
    suppressionRoutes({ now }),
    credentialRoutes({ encryptionKey, bots, answerWithinMs, now }),
    botWebhookRoutes(bots),
    sesTopicRoutes(),
    inboundRoutes(),
    sesSetupRoutes({ encryptionKey, publicUrl: PUBLIC_URL, aws: awsItself({ send: nowhere }) }),
    campaignRoutes({ refusedUrl: () => null }),
    campaignPreviewRoutes({ tokens: TEST_TOKENS, publicUrl: PUBLIC_URL, now }),
    templateRoutes(),
    templatePreviewRoutes({ tokens: TEST_TOKENS, publicUrl: PUBLIC_URL, now }),
    topicRoutes(),
    contactTopicRoutes({ now }),
    telegramLinkRoutes({ encryptionKey }),
    doubleOptInRoutes(),
    enrollRoutes({ now }),
    enrollmentRoutes(),
    analyticsRoutes({ now }),
    progressRoutes({ now }),
    testSendRoutes({
      encryptionKey,
      tokens: TEST_TOKENS,
      publicUrl: PUBLIC_URL,
      now,
      answerWithinMs,
      api: botApi,
    }),
    messageRoutes({ now }),
  ];
  const api = await createTestApp(resources, now);
  return {
    ...api,
    async ok(method, path, body, customer = api.customer) {
      const answer = await api.call(method, `/api/v1${path}`, { body, customer });
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
      return answer.body;
    },
  };
}

/** The body of a credential for a server on loopback. */
export function smtpCredential(more: object = {}): object {
  return {
    type: "smtp",
    name: "Loopback",
    host: "127.0.0.1",
    port: 2525,
    fromEmail: "news@example.com",
    ...more,
  };
}

/** The body of a campaign: `hello` is sent, `end` follows a click. */
export function helloCampaign(credentialId: string, more: object = {}): object {
  return {
    name: "Welcome",
    nodes: [helloNode(credentialId), { id: "end", type: "exit" }],
    edges: [{ id: "e1", from: "hello", to: "end", firesWhen: "clicked" }],
    ...more,
  };
}

export function helloNode(credentialId: string, more: object = {}): object {
  return {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId,
    subject: "Hi {{ contact.attributes.firstName | default: 'you' }}",
    html: '<p>Have a <a href="https://example.com/buy">look</a>.</p>',
    ...more,
  };
}
