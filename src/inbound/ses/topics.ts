import type { AllowedTopic } from "./topic-queries.ts";

/** The allow-list as a process knows it. */
export type Topics = {
  /**
   * @param isSigned whether SNS signed for the topic: then it is refused by nothing but the present list
   * @returns null for a topic that nobody allowed. Rejects when the database does not say.
   */
  find(topicArn: string, isSigned: boolean): Promise<AllowedTopic | null>;
};

/** So old a list may be to say that a topic is on it, or to answer whoever only claims to be one. */
const KEPT_MS = 5_000;

/**
 * The whole list at once, read again when it is old. SNS does not come back after a refusal, so a topic that was
 * allowed a moment ago must be found; reads follow one another, however many ask.
 */
export function createTopics(load: () => Promise<readonly AllowedTopic[]>, now: () => number): Topics {
  let list: ReadonlyMap<string, AllowedTopic> = new Map();
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;
  let following: Promise<void> | null = null;

  async function read(): Promise<void> {
    const begun = now();
    const rows = await load();
    list = new Map(rows.map((row) => [row.topicArn, row]));
    readAt = begun;
  }

  function begin(): Promise<void> {
    reading = read().finally(() => {
      reading = null;
    });
    return reading;
  }

  // A read under way may have looked before what is asked for was written.
  function readAfterNow(): Promise<void> {
    if (reading === null) return begin();
    following ??= reading
      .catch(() => {})
      .then(() => {
        following = null;
        return begin();
      });
    return following;
  }

  return {
    async find(topicArn, isSigned) {
      const known = list.get(topicArn);
      const isRecent = now() - readAt < KEPT_MS;
      if (isRecent && (known !== undefined || !isSigned)) return known ?? null;
      await readAfterNow();
      return list.get(topicArn) ?? null;
    },
  };
}
