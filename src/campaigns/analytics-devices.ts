import { CLIENTS, type Client, PLATFORMS, type Platform } from "../tracking/device.ts";
import { hitsOf } from "./analytics.ts";
import type { Count, DeviceCount } from "./analytics-queries.ts";

/** Added up by platform, by client or by both; those first that people open and click with most. */
export function deviceNumbersOf(counts: readonly DeviceCount[], by: "platform" | "client" | "both") {
  const groups = Map.groupBy(counts, ({ device }) => {
    const [platform = "", client = ""] = device.split("/");
    return [by === "client" ? "" : platform, by === "platform" ? "" : client].join("/");
  });
  return [...groups]
    .map(([key, rows]) => {
      const [platform, client] = key.split("/");
      return deviceOf(platformNamed(platform), clientNamed(client), rows);
    })
    .sort((a, b) => b.opened.human + b.clicked.human - (a.opened.human + a.clicked.human));
}

export function deviceOf(platform: Platform | null, client: Client | null, counts: readonly Count[]) {
  return {
    platform,
    client,
    opened: hitsOf(counts, "email_opened"),
    clicked: hitsOf(counts, "email_clicked"),
    unsubscribed: hitsOf(counts, "unsubscribed").total,
  };
}

function platformNamed(name: string | undefined): Platform | null {
  return PLATFORMS.find((platform) => platform === name) ?? null;
}

function clientNamed(name: string | undefined): Client | null {
  return CLIENTS.find((client) => client === name) ?? null;
}
