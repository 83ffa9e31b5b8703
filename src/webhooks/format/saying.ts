import { EVENT_TYPES, type EventType, type Json } from "../../events/event.ts";
import type { DigestCount, DigestTold, Told, ToldCampaign, ToldContact } from "../told.ts";
import { tidy, tidyLines } from "./cut.ts";
import { type Gravity, VOICES } from "./voices.ts";

/** A link of ours: `label` is our own word. */
export type Link = { label: string; url: string };

/** What a chat is told of an event, in plain text that may look like any chat's markup. */
export type Saying = {
  gravity: Gravity;
  title: string;
  /** One line. */
  sentence: string;
  /** Each with one line, or a few. */
  details: { label: string; text: string }[];
  links: Link[];
};

/** What a chat is told of many events of a campaign. */
export type Summary = {
  /** The campaign's name, or what is said of events that are of none. */
  name: string;
  link: Link | null;
  /** One for each type. */
  lines: string[];
  count: number;
};

// Of each part a sentence is made of, so that a long one leaves the others room.
const MAX_NAME_CHARS = 80;
const MAX_ADDRESS_CHARS = 254;
const MAX_PART_CHARS = 300;
const MAX_DETAIL_CHARS = 900;

const NAMES = [["name"], ["fullName"], ["firstName", "lastName"]];

/** The event in words. */
export function sayingOf(told: Told, publicUrl: string, { isTest }: { isTest: boolean }): Saying {
  const { title, gravity, sentence, details } = VOICES[told.type];
  const test = isTest ? "Test: " : "";
  return {
    gravity,
    title: test + title,
    sentence: test + fill(sentence, (name) => partOf(told, name)) + byMachine(told),
    details: details.flatMap(([label, key]) => {
      const text = tidyLines(textOf(told.data[key]), MAX_DETAIL_CHARS);
      return text === "" ? [] : [{ label, text }];
    }),
    links: [
      ...(told.contact === null
        ? []
        : [{ label: "Contact", url: `${publicUrl}/contacts/${told.contact.id}` }]),
      ...(told.campaign === null ? [] : [campaignLink(told.campaign, publicUrl)]),
    ],
  };
}

/** A digest in words, the campaign with the most events first. */
export function summariesOf({ counts }: DigestTold, publicUrl: string): Summary[] {
  const byCampaign = Map.groupBy(counts, ({ campaign }) => campaign?.id ?? "");
  return [...byCampaign.values()]
    .map((ofCampaign) => summaryOf(ofCampaign, publicUrl))
    .sort((one, other) => other.count - one.count);
}

/** Of many events: `1,204`. */
export function number(count: number): string {
  return count.toLocaleString("en-US");
}

/** `3 events`. */
export function events(count: number): string {
  return `${number(count)} ${count === 1 ? "event" : "events"}`;
}

function summaryOf(counts: readonly DigestCount[], publicUrl: string): Summary {
  const campaign = counts[0]?.campaign ?? null;
  const inOrder = counts.toSorted((one, other) => rank(one.type) - rank(other.type));
  return {
    name: campaign === null ? "Outside of campaigns" : campaignName(campaign),
    link: campaign === null ? null : campaignLink(campaign, publicUrl),
    lines: inOrder.map(({ type, count, total }) => {
      const soFar = total === null ? "" : ` (${number(total)} so far)`;
      return `${VOICES[type].title}: ${number(count)}${soFar}`;
    }),
    count: counts.reduce((sum, { count }) => sum + count, 0),
  };
}

function rank(type: EventType): number {
  return EVENT_TYPES.indexOf(type);
}

function campaignLink(campaign: ToldCampaign, publicUrl: string): Link {
  return { label: "Campaign", url: `${publicUrl}/campaigns/${campaign.id}` };
}

// In one pass: what is filled in may itself have braces and brackets.
function fill(sentence: string, part: (name: string) => string): string {
  return sentence.replace(/\[([^[\]]*)\]|\{(\w+)\}/g, (_, optional?: string, name?: string) => {
    if (name !== undefined) return part(name);
    let isWhole = true;
    const filled = (optional ?? "").replace(/\{(\w+)\}/g, (_whole, inner: string) => {
      const text = part(inner);
      if (text === "") isWhole = false;
      return text;
    });
    return isWhole ? filled : "";
  });
}

function partOf(told: Told, name: string): string {
  switch (name) {
    case "who":
      return told.contact === null ? "Somebody" : whoIs(told.contact);
    case "in":
      return told.campaign === null ? "" : ` in ${campaignName(told.campaign)}`;
    case "campaign":
      return told.campaign === null ? "a campaign" : campaignName(told.campaign);
    default:
      return tidy(textOf(told.data[name]), MAX_PART_CHARS);
  }
}

function whoIs({ email, telegramChatId, attributes }: ToldContact): string {
  const name = nameIn(attributes);
  const address = email === null ? "" : tidy(email, MAX_ADDRESS_CHARS);
  const chat = telegramChatId === null ? "" : `Telegram ${telegramChatId}`;
  if (name === "") return address || chat || "A contact without a name";
  if (address !== "") return `${name} <${address}>`;
  return chat === "" ? name : `${name} (${chat})`;
}

function nameIn(attributes: ToldContact["attributes"]): string {
  for (const keys of NAMES) {
    const parts = keys.map((key) => attributes[key]).filter((value) => typeof value === "string");
    const name = tidy(parts.join(" "), MAX_NAME_CHARS);
    if (name !== "") return name;
  }
  return "";
}

function campaignName({ name }: ToldCampaign): string {
  return tidy(name, MAX_NAME_CHARS) || "a campaign without a name";
}

function byMachine({ agent }: Told): string {
  return agent === "scanner" || agent === "prefetch" ? ` (automatic: ${agent})` : "";
}

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  return Array.isArray(value) && value.every((item) => typeof item === "string")
    ? value.join(" ")
    : JSON.stringify(value);
}
