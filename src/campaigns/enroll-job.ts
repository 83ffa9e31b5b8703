export const JOB_STATUSES = ["running", "paused", "cancelled", "completed", "failed"] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];

/** What is kept of an audience that is enrolled in the background. */
export type JobAudience = { tag: string } | { segmentId: string } | { all: true };

export type EnrollJob = {
  id: string;
  campaignId: string;
  audience: JobAudience;
  status: JobStatus;
  reason: string | null;
  selected: number;
  enrolled: number;
  total: number | null;
  /** What its chunks took. */
  busyMs: number;
  createdAt: Date;
  updatedAt: Date;
  finishedAt: Date | null;
};

/** A job as people see it. */
export function presentJob({ busyMs, ...job }: EnrollJob) {
  const perSecond = busyMs > 0 ? (job.selected * 1000) / busyMs : null;
  const left = job.total === null ? null : Math.max(0, job.total - job.selected);
  const canTell = job.status === "running" && perSecond !== null && perSecond > 0 && left !== null;
  return {
    ...job,
    alreadyEnrolled: job.selected - job.enrolled,
    perSecond: perSecond === null ? null : Math.round(perSecond),
    secondsLeft: canTell ? Math.ceil(left / perSecond) : null,
    createdAt: job.createdAt.toISOString(),
    updatedAt: job.updatedAt.toISOString(),
    finishedAt: job.finishedAt?.toISOString() ?? null,
  };
}
