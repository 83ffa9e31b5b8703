import { customEvent } from "./format/custom.ts";
import { discordDigest, discordEvent } from "./format/discord.ts";
import { slackDigest, slackEvent } from "./format/slack.ts";
import type { ChatType, DigestTold, EndpointType, Told } from "./told.ts";

/**
 * The body of the request that tells an endpoint of an event.
 * @param publicUrl where the dashboard is
 * @param options.isTest it has not happened: the body says so
 * @returns JSON, the same for the same arguments; never larger than the chat takes
 */
export function renderEvent(
  type: EndpointType,
  told: Told,
  publicUrl: string,
  options: { isTest: boolean },
): string {
  switch (type) {
    case "custom":
      return JSON.stringify(customEvent(told, options));
    case "slack":
      return JSON.stringify(slackEvent(told, publicUrl, options));
    case "discord":
      return JSON.stringify(discordEvent(told, publicUrl, options));
  }
}

/** The body of the request that tells a chat of many events at once. @returns JSON, never larger than the chat takes */
export function renderDigest(type: ChatType, digest: DigestTold, publicUrl: string): string {
  switch (type) {
    case "slack":
      return JSON.stringify(slackDigest(digest, publicUrl));
    case "discord":
      return JSON.stringify(discordDigest(digest, publicUrl));
  }
}
