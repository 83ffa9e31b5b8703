import type { EventType } from "../../events/event.ts";

/** How a reader should take it. */
export type Gravity = "bad" | "doubtful" | "good" | "neutral";

/** What is said of a type of event. */
export type Voice = {
  /** What it is called, also where many are counted. */
  title: string;
  gravity: Gravity;
  /**
   * A sentence: `{who}` is the contact, `{campaign}` its name, `{in}` " in Welcome" or nothing, and other names in
   * braces are of the event's data. Where what stands in brackets needs something that is missing, it is left out.
   */
  sentence: string;
  /** Of the event's data, what is shown below, with its label. */
  details: readonly (readonly [label: string, key: string])[];
};

const REASON = ["Reason", "reason"] as const;
const DIAGNOSIS = ["The mail server said", "diagnosticCode"] as const;

/** Of every type, so that nothing can happen that nobody has words for. */
export const VOICES: Record<EventType, Voice> = {
  message_queued: voice("Message queued", "neutral", "A message to {who} is queued{in}"),
  message_sent: voice("Message sent", "neutral", "A message was sent to {who}{in}[: {subject}]"),
  message_failed: voice("Message failed", "bad", "A message to {who} could not be sent{in}", [REASON]),
  message_uncertain: voice(
    "Message uncertain",
    "doubtful",
    "Nobody knows whether a message to {who} was sent{in}",
    [REASON],
  ),
  message_delivered: voice("Message delivered", "good", "A message was delivered to {who}{in}"),
  message_bounced: voice(
    "Message bounced",
    "bad",
    "A message to {who} bounced{in}[: {bounceType}][ / {bounceSubType}]",
    [DIAGNOSIS],
  ),
  message_delayed: voice("Message delayed", "doubtful", "A message to {who} is delayed{in}[: {delayType}]", [
    DIAGNOSIS,
  ]),
  message_complained: voice("Complaint", "bad", "{who} complained of a message{in}[: {complaintType}]"),
  message_rejected: voice("Message rejected", "bad", "The provider rejected a message to {who}{in}", [
    REASON,
  ]),
  email_opened: voice("Email opened", "good", "{who} opened an email{in}"),
  email_clicked: voice("Link clicked", "good", "{who} clicked[ {clickedUrl}]{in}"),
  unsubscribed: voice("Unsubscribed", "doubtful", "{who} unsubscribed{in}"),
  resubscribed: voice("Subscribed again", "good", "{who} subscribed again{in}"),
  topic_left: voice("Topic left", "doubtful", "{who} left a topic{in}", [["Topic", "topicId"]]),
  topic_rejoined: voice("Topic joined again", "good", "{who} joined a topic again{in}", [
    ["Topic", "topicId"],
  ]),
  message_received: voice("Message received", "good", "{who} wrote{in}[: {subject}]", [["Text", "text"]]),
  auto_reply_received: voice("Automatic reply", "neutral", "{who} answered automatically{in}[: {subject}]"),
  message_reacted: voice("Reaction", "good", "{who} reacted to a message{in}", [["Reactions", "reactions"]]),
  contact_blocked: voice("Bot blocked", "bad", "{who} blocked the bot{in}"),
  contact_unblocked: voice("Bot unblocked", "good", "{who} let the bot in again{in}"),
  contact_suppressed: voice("Contact suppressed", "doubtful", "{who} is not mailed any more{in}", [REASON]),
  campaign_started: voice("Campaign entered", "neutral", "{who} entered {campaign}"),
  campaign_completed: voice("Campaign completed", "neutral", "{who} is through with {campaign}", [REASON]),
  run_completed: voice("Step completed", "neutral", "A step of {who} is completed{in}"),
  run_failed: voice("Step failed", "bad", "A step of {who} failed{in}", [REASON]),
  timer_elapsed: voice("Time elapsed", "neutral", "A time set for {who} has elapsed{in}"),
  endpoint_disabled: voice("Endpoint disabled", "bad", "A webhook endpoint is disabled[: {url}]", [
    REASON,
    ["By", "by"],
  ]),
  provider_sent: voice("Sent, says the provider", "neutral", "The provider sent a message to {who}{in}"),
  provider_opened: voice("Opened, says the provider", "neutral", "The provider saw {who} open an email{in}"),
  provider_clicked: voice(
    "Clicked, says the provider",
    "neutral",
    "The provider saw {who} click[ {clickedUrl}]{in}",
  ),
  provider_preferences_changed: voice(
    "Preferences changed, says the provider",
    "doubtful",
    "{who} changed what the provider may send",
    [["List", "contactList"]],
  ),
};

function voice(title: string, gravity: Gravity, sentence: string, details: Voice["details"] = []): Voice {
  return { title, gravity, sentence, details };
}
