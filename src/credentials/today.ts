import type { Db } from "../storage/pool.ts";
import { selectSentOn } from "./queries.ts";
import { createSchedule, type Hold, holdOf, type Schedule, type ScheduleSettings } from "./schedule.ts";

/** A credential's day: what it has sent, what it may, and why it sends nothing just now, if so. */
export type Today = {
  schedule: Schedule;
  day: string;
  sent: number;
  ceiling: number | null;
  hold: Hold | null;
};

/** The day of each of these credentials, by its id. */
export async function readToday(
  db: Db,
  customerId: string,
  credentials: readonly { id: string; settings: ScheduleSettings }[],
  nowMs: number,
): Promise<Map<string, Today>> {
  const days = credentials.map(({ id, settings }) => {
    const schedule = createSchedule(settings);
    return { credentialId: id, schedule, day: schedule.day(nowMs) };
  });
  const sentOn = await selectSentOn(db, customerId, days);
  return new Map(
    days.map(({ credentialId, schedule, day }) => {
      const sent = sentOn.get(credentialId) ?? 0;
      const hold = holdOf(schedule, sent, nowMs);
      return [credentialId, { schedule, day, sent, ceiling: schedule.ceiling(day), hold }];
    }),
  );
}
