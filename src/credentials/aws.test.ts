import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { type CampaignApi, createCampaignApi, smtpCredential } from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { findAwsKeys } from "./aws-queries.ts";

const SECRET = "wJalrXUtnFEMI-a-secret";
const keys = { region: "eu-west-1", accessKeyId: "AKIAIOSFODNN7EXAMPLE" };
const aws = { ...keys, secretAccessKey: SECRET };

let api: CampaignApi;
beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

const create = (ses: object) => api.ok("POST", "/credentials", smtpCredential({ ses }));
const change = (id: string, body: object) => api.call("PATCH", `/api/v1/credentials/${id}`, { body });
const opened = (id: string, customerId = api.customer.id) =>
  findAwsKeys(api.database.db, TEST_ENCRYPTION_KEY, customerId, id);

test("AWS keys are kept sealed and opened with the installation's key, for their customer only", async () => {
  const { id } = await create({ aws });
  expect(await opened(id)).toEqual(aws);
  const { rows } = await sql<{ row: string }>`
    select encode(aws_secret, 'escape') || settings::text as row from credential where id = ${id}`.execute(
    api.database.db,
  );
  expect(rows[0]?.row).not.toContain(SECRET);
  expect(rows[0]?.row).toContain(keys.accessKeyId);
  const stranger = await api.createCustomer("stranger");
  expect(await opened(id, stranger.id)).toBeNull();
});

test("their secret is in no answer", async () => {
  const { id } = await create({ aws });
  const answers = [
    await api.call("GET", `/api/v1/credentials/${id}`),
    await api.call("GET", "/api/v1/credentials"),
    await change(id, { ses: { aws } }),
    await change(id, { ses: { aws: { ...aws, region: "nowhere" } } }),
  ];
  for (const { text } of answers) expect(text).not.toContain(SECRET);
  expect(answers[0]?.body.ses).toMatchObject({ aws: keys });
});

test("a change without the secret keeps it while the access key is the same", async () => {
  const { id } = await create({ aws });
  expect(
    (await change(id, { ses: { replyDomain: "in.example.com", aws: { ...keys, region: "us-east-1" } } }))
      .status,
  ).toBe(200);
  expect(await opened(id)).toEqual({ ...aws, region: "us-east-1" });
  expect((await change(id, { name: "Renamed" })).status).toBe(200);
  expect(await opened(id)).toMatchObject({ secretAccessKey: SECRET });
});

test("keys without their secret are refused, naming it", async () => {
  const other = { ...keys, accessKeyId: "AKIAIOSFODNN7ANOTHER" };
  const refused = [
    await api.call("POST", "/api/v1/credentials", { body: smtpCredential({ ses: { aws: keys } }) }),
    await change((await create({ aws })).id, { ses: { aws: other } }),
  ];
  for (const { status, body } of refused) {
    expect([status, body.errors[0]?.field]).toEqual([400, "ses.aws.secretAccessKey"]);
  }
});

test.each([{ ses: null }, { ses: {} }, { ses: { aws: null } }])(
  "%p forgets the keys and their secret",
  async (body) => {
    const { id } = await create({ aws });
    expect((await change(id, body)).status).toBe(200);
    expect(await opened(id)).toBeNull();
    const { rows } = await sql<{ secret: Buffer | null }>`
    select aws_secret as secret from credential where id = ${id}`.execute(api.database.db);
    expect(rows[0]?.secret).toBeNull();
  },
);
