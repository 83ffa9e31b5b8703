import { createHash, createHmac } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";

export const STAND_IN_KEYS = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "the-secret-of-the-stand-in",
};

export type StandInTopic = { attributes: Record<string, string>; subscriptions: StandInSubscription[] };
export type StandInSubscription = {
  protocol: string;
  endpoint: string;
  arn: string | null;
  attributes: Record<string, string>;
};
export type StandInDestination = {
  Name: string;
  Enabled: boolean;
  MatchingEventTypes: string[];
  SnsDestination?: { TopicArn: string };
};

/** SES v2 and SNS of one account and region, as far as a setup needs them. */
export type AwsStandIn = {
  origin: string;
  configurationSets: Map<string, StandInDestination[]>;
  topics: Map<string, StandInTopic>;
  /** Every call that was answered, as IAM calls it. */
  calls: string[];
  /** Actions that the keys may not do. */
  denied: Set<string>;
  /** How often each action is answered that it is too much, from now on. */
  throttled: Map<string, number>;
  /** Actions that are done, and whose next so many answers get lost. */
  lost: Map<string, number>;
  /** Called when SNS would ask an endpoint to confirm. */
  onSubscribe(ask: (topicArn: string, endpoint: string) => void): void;
  confirm(topicArn: string): void;
  close(): Promise<void>;
};

const ACCOUNT = "123456789012";
const REGION = "us-east-1";

/** What an action says no with. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Listens on loopback. Close it in `afterAll`. */
export async function startAws(): Promise<AwsStandIn> {
  let ask = (_topicArn: string, _endpoint: string) => {};
  const standIn = {
    origin: "",
    configurationSets: new Map<string, StandInDestination[]>(),
    topics: new Map<string, StandInTopic>(),
    calls: [] as string[],
    denied: new Set<string>(),
    throttled: new Map<string, number>(),
    lost: new Map<string, number>(),
  };
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const isSes = request.url?.startsWith("/v2/email/") === true;
      const action = isSes ? sesAction(request) : `sns:${new URLSearchParams(body).get("Action")}`;
      try {
        admit(request, body, action, standIn, isSes ? "ses" : "sns");
        standIn.calls.push(action);
        const answer = isSes
          ? JSON.stringify(doSes(standIn, action, request.url ?? "", body))
          : doSns(standIn, action, new URLSearchParams(body), (arn, endpoint) => ask(arn, endpoint));
        if (take(standIn.lost, action)) return request.socket.destroy();
        response.writeHead(200, { "Content-Type": isSes ? "application/json" : "text/xml" }).end(answer);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refuse(response, error, isSes);
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  standIn.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(standIn, {
    onSubscribe(listener: typeof ask) {
      ask = listener;
    },
    confirm(topicArn: string) {
      for (const each of standIn.topics.get(topicArn)?.subscriptions ?? [])
        each.arn ??= `${topicArn}:${ACCOUNT}`;
    },
    close() {
      server.closeAllConnections();
      return new Promise<void>((done) => server.close(() => done()));
    },
  });
}

type State = Omit<AwsStandIn, "onSubscribe" | "confirm" | "close">;

function admit(
  request: http.IncomingMessage,
  body: string,
  action: string,
  state: State,
  service: "ses" | "sns",
): void {
  const verdict = judgeSignature(request, body, service);
  if (verdict === "unknown key")
    throw service === "ses"
      ? new Refusal(403, "UnrecognizedClientException", "The security token in the request is invalid.")
      : new Refusal(403, "InvalidClientTokenId", "The security token in the request is invalid.");
  if (verdict === "wrong")
    throw service === "ses"
      ? new Refusal(403, "InvalidSignatureException", "The request signature does not match.")
      : new Refusal(403, "SignatureDoesNotMatch", "The request signature does not match.");
  if (state.denied.has(action)) {
    const message = `User: arn:aws:iam::${ACCOUNT}:user/edgr is not authorized to perform: ${action}`;
    throw new Refusal(403, service === "ses" ? "AccessDeniedException" : "AuthorizationError", message);
  }
  if (take(state.throttled, action))
    throw service === "ses"
      ? new Refusal(429, "TooManyRequestsException", "Rate exceeded")
      : new Refusal(400, "Throttling", "Rate exceeded");
}

/** Signature Version 4, of requests whose paths and queries need no encoding. */
function judgeSignature(
  { method, url = "", headers }: http.IncomingMessage,
  body: string,
  service: string,
): "good" | "wrong" | "unknown key" {
  const parsed =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/((\d{8})\/[^,]+), SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      headers.authorization ?? "",
    );
  const [, keyId, scope = "", day = "", signed = "", signature] = parsed ?? [];
  if (keyId !== STAND_IN_KEYS.accessKeyId || scope !== `${day}/${REGION}/${service}/aws4_request`)
    return "unknown key";
  const [path = "", query = ""] = url.split("?");
  const lines = signed.split(";").map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = [method, path, query, lines.join(""), signed, sha256(body)].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha256(canonical)].join("\n");
  const key = [day, REGION, service, "aws4_request"].reduce<Buffer>(
    hmac,
    Buffer.from(`AWS4${STAND_IN_KEYS.secretAccessKey}`),
  );
  return hmac(key, toSign).toString("hex") === signature ? "good" : "wrong";
}

const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function take(times: Map<string, number>, action: string): boolean {
  const left = times.get(action) ?? 0;
  times.set(action, left - 1);
  return left > 0;
}

function refuse(response: http.ServerResponse, { status, code, message }: Refusal, isSes: boolean): void {
  if (isSes)
    response
      .writeHead(status, { "Content-Type": "application/json", "x-amzn-ErrorType": code })
      .end(JSON.stringify({ message }));
  else
    response
      .writeHead(status, { "Content-Type": "text/xml" })
      .end(
        `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>` +
          `<Code>${code}</Code><Message>${xmlText(message)}</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
      );
}

const SETS = "/v2/email/configuration-sets";

function sesAction({ method, url = "" }: http.IncomingMessage): string {
  const depth = url.slice(SETS.length).split("/").length;
  const is = (wanted: string, at: number) => method === wanted && depth === at;
  if (is("POST", 1)) return "ses:CreateConfigurationSet";
  if (is("GET", 2)) return "ses:GetConfigurationSet";
  if (is("GET", 3)) return "ses:GetConfigurationSetEventDestinations";
  if (is("POST", 3)) return "ses:CreateConfigurationSetEventDestination";
  if (is("PUT", 4)) return "ses:UpdateConfigurationSetEventDestination";
  return `ses:${method} ${url}`;
}

function doSes(state: State, action: string, url: string, text: string): object {
  const body = text === "" ? {} : JSON.parse(text);
  const [, name = "", , destinationName = ""] = url.slice(SETS.length).split("/").map(decodeURIComponent);
  if (action === "ses:CreateConfigurationSet") {
    if (state.configurationSets.has(body.ConfigurationSetName))
      throw new Refusal(400, "AlreadyExistsException", "Configuration set already exists.");
    state.configurationSets.set(body.ConfigurationSetName, []);
    return {};
  }
  const destinations = state.configurationSets.get(name);
  if (destinations === undefined)
    throw new Refusal(404, "NotFoundException", `Configuration set <${name}> does not exist.`);
  switch (action) {
    case "ses:GetConfigurationSet":
      return { ConfigurationSetName: name };
    case "ses:GetConfigurationSetEventDestinations":
      return { EventDestinations: destinations };
    case "ses:CreateConfigurationSetEventDestination":
      if (destinations.some(({ Name }) => Name === body.EventDestinationName))
        throw new Refusal(400, "AlreadyExistsException", "Event destination already exists.");
      checkDestination(state, body.EventDestination);
      destinations.push({ Name: body.EventDestinationName, ...body.EventDestination });
      return {};
    case "ses:UpdateConfigurationSetEventDestination": {
      const present = destinations.find(({ Name }) => Name === destinationName);
      if (present === undefined) throw new Refusal(404, "NotFoundException", "No such event destination.");
      checkDestination(state, body.EventDestination);
      Object.assign(present, body.EventDestination);
      return {};
    }
    default:
      throw new Refusal(404, "UnknownOperationException", action);
  }
}

/** SES publishes to the topic before it takes it. */
function checkDestination(state: State, { SnsDestination }: StandInDestination): void {
  const policy = state.topics.get(SnsDestination?.TopicArn ?? "")?.attributes.Policy ?? "{}";
  const statements: { Principal: { Service?: string } }[] = JSON.parse(policy).Statement ?? [];
  if (!statements.some(({ Principal }) => Principal.Service === "ses.amazonaws.com"))
    throw new Refusal(400, "BadRequestException", "Could not publish to SNS topic.");
}

function doSns(
  state: State,
  action: string,
  input: URLSearchParams,
  ask: (topicArn: string, endpoint: string) => void,
): string {
  const of = (name: string) => input.get(name) ?? "";
  const operation = action.slice("sns:".length);
  const wrap = (content: string) =>
    `<${operation}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><${operation}Result>${content}` +
    `</${operation}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${operation}Response>`;
  switch (action) {
    case "sns:ListTopics": {
      const arns = [...state.topics.keys()];
      const from = Number(of("NextToken"));
      const more = from + 2 < arns.length ? `<NextToken>${from + 2}</NextToken>` : "";
      const members = arns.slice(from, from + 2).map((arn) => `<member><TopicArn>${arn}</TopicArn></member>`);
      return wrap(`<Topics>${members.join("")}</Topics>${more}`);
    }
    case "sns:CreateTopic": {
      const arn = `arn:aws:sns:${REGION}:${ACCOUNT}:${of("Name")}`;
      if (!state.topics.has(arn)) state.topics.set(arn, newTopic(arn));
      return wrap(`<TopicArn>${arn}</TopicArn>`);
    }
    case "sns:GetTopicAttributes":
      return wrap(attributes(topicOf(state, of("TopicArn")).attributes));
    case "sns:SetTopicAttributes":
      topicOf(state, of("TopicArn")).attributes[of("AttributeName")] = of("AttributeValue");
      return wrap("");
    case "sns:ListSubscriptionsByTopic": {
      const members = topicOf(state, of("TopicArn")).subscriptions.map(
        ({ arn, protocol, endpoint }) =>
          `<member><TopicArn>${of("TopicArn")}</TopicArn><Protocol>${protocol}</Protocol><Owner>${ACCOUNT}</Owner>` +
          `<SubscriptionArn>${arn ?? "PendingConfirmation"}</SubscriptionArn><Endpoint>${xmlText(endpoint)}</Endpoint></member>`,
      );
      return wrap(`<Subscriptions>${members.join("")}</Subscriptions>`);
    }
    case "sns:GetSubscriptionAttributes":
      return wrap(
        attributes({
          RawMessageDelivery: "false",
          ...subscriptionOf(state, of("SubscriptionArn")).attributes,
        }),
      );
    case "sns:SetSubscriptionAttributes":
      subscriptionOf(state, of("SubscriptionArn")).attributes[of("AttributeName")] = of("AttributeValue");
      return wrap("");
    case "sns:Subscribe": {
      const { subscriptions } = topicOf(state, of("TopicArn"));
      const [protocol, endpoint] = [of("Protocol"), of("Endpoint")];
      const present = subscriptions.find((each) => each.protocol === protocol && each.endpoint === endpoint);
      const given = entriesOf(input, "Attributes");
      if (Object.entries(given).some(([name, value]) => present && present.attributes[name] !== value))
        throw new Refusal(
          400,
          "InvalidParameter",
          "Invalid parameter: Attributes Reason: Subscription already exists with different attributes",
        );
      if (present === undefined) subscriptions.push({ protocol, endpoint, arn: null, attributes: given });
      if (present === undefined || present.arn === null) ask(of("TopicArn"), endpoint);
      return wrap(`<SubscriptionArn>${present?.arn ?? "pending confirmation"}</SubscriptionArn>`);
    }
    default:
      throw new Refusal(400, "InvalidAction", `Could not find operation ${operation}`);
  }
}

/** As a topic is when nobody said anything of its attributes. */
function newTopic(arn: string): StandInTopic {
  const owner = {
    Sid: "__default_statement_ID",
    Effect: "Allow",
    Principal: { AWS: "*" },
    Action: ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Subscribe", "SNS:Publish"],
    Resource: arn,
    Condition: { StringEquals: { "AWS:SourceOwner": ACCOUNT } },
  };
  const Policy = JSON.stringify({ Version: "2008-10-17", Id: "__default_policy_ID", Statement: [owner] });
  return { attributes: { TopicArn: arn, Owner: ACCOUNT, Policy }, subscriptions: [] };
}

function topicOf(state: State, arn: string): StandInTopic {
  const topic = state.topics.get(arn);
  if (topic === undefined) throw new Refusal(404, "NotFound", "Topic does not exist");
  return topic;
}

function subscriptionOf(state: State, arn: string): StandInSubscription {
  const all = [...state.topics.values()].flatMap(({ subscriptions }) => subscriptions);
  const found = all.find((each) => each.arn === arn);
  if (found === undefined) throw new Refusal(404, "NotFound", "Subscription does not exist");
  return found;
}

/** A map as the query protocol sends it: `Attributes.entry.1.key`, `Attributes.entry.1.value`. */
function entriesOf(input: URLSearchParams, name: string): Record<string, string> {
  const entries: [string, string][] = [];
  for (let at = 1; ; at += 1) {
    const key = input.get(`${name}.entry.${at}.key`);
    if (key === null) return Object.fromEntries(entries);
    entries.push([key, input.get(`${name}.entry.${at}.value`) ?? ""]);
  }
}

function attributes(values: Record<string, string>): string {
  const entries = Object.entries(values).map(
    ([key, value]) => `<entry><key>${key}</key><value>${xmlText(value)}</value></entry>`,
  );
  return `<Attributes>${entries.join("")}</Attributes>`;
}

function xmlText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
