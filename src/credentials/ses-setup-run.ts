import { AppError } from "../errors.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { findAwsKeys } from "./aws-queries.ts";
import { findCredential } from "./queries.ts";
import { inspectSetup, isComplete, runSetup, type StepOutcome } from "./ses-setup.ts";
import { type AwsAccess, openSesAws, type SesAws } from "./ses-setup-aws.ts";
import { type Instruction, instructions, type SetupNames, unreachable } from "./ses-setup-plan.ts";
import { readSetup, recordSetup } from "./ses-setup-queries.ts";

export type SesSetupDeps = { encryptionKey: Buffer; publicUrl: string; aws: AwsAccess };

/** A credential's setup as it is shown: how each step is, and how it is done by hand. */
export type ShownSetup = {
  credentialId: string;
  region: string | null;
  hasAwsKeys: boolean;
  isComplete: boolean;
  steps: (Instruction & Omit<StepOutcome, "at"> & { at: string | null })[];
};

/**
 * How far a credential's setup is; changes nothing.
 * @throws AppError not_found
 */
export async function showSesSetup(
  db: Db,
  customerId: string,
  credentialId: string,
  deps: SesSetupDeps,
): Promise<ShownSetup> {
  const setup = await prepare(db, customerId, credentialId, deps.publicUrl);
  const aws = await openAws(db, customerId, credentialId, deps);
  try {
    return present(await inspectSetup({ ...setup, aws }), aws !== null);
  } finally {
    aws?.close();
  }
}

/**
 * Does what is missing.
 * @param db no transaction: the topic has to be allowed when SNS asks for the confirmation
 * @throws AppError not_found; unprocessable without AWS keys or at an address that SNS can't reach; conflict when the
 * topic is another customer's
 */
export async function setUpSes(
  db: Db,
  customerId: string,
  credentialId: string,
  deps: SesSetupDeps,
): Promise<ShownSetup> {
  const setup = await prepare(db, customerId, credentialId, deps.publicUrl);
  const reason = unreachable(deps.publicUrl);
  if (reason !== null) throw refused("EDGR_PUBLIC_URL", reason);
  const aws = await openAws(db, customerId, credentialId, deps);
  if (aws === null)
    throw refused("ses.aws", "is needed: give the credential AWS keys, or follow the steps that GET shows");
  try {
    const done = await runSetup({ ...setup, aws }, async (found) => {
      const isThere = await inTransaction(db, (transaction) =>
        recordSetup(transaction, customerId, credentialId, found),
      );
      if (!isThere) throw noSuchCredential();
    });
    return present(done, true);
  } finally {
    aws.close();
  }
}

async function prepare(db: Db, customerId: string, id: string, publicUrl: string) {
  const credential = await findCredential(db, customerId, id);
  if (credential === null) throw noSuchCredential();
  return readSetup(db, customerId, credential, publicUrl);
}

async function openAws(
  db: Db,
  customerId: string,
  credentialId: string,
  { encryptionKey, aws }: SesSetupDeps,
): Promise<SesAws | null> {
  const keys = await findAwsKeys(db, encryptionKey, customerId, credentialId);
  return keys === null ? null : openSesAws(keys, aws);
}

function present(
  { names, steps }: { names: SetupNames; steps: readonly StepOutcome[] },
  hasAwsKeys: boolean,
): ShownSetup {
  const outcomes = new Map(steps.map((each) => [each.id, each]));
  return {
    credentialId: names.credentialId,
    region: names.region,
    hasAwsKeys,
    isComplete: isComplete(steps),
    steps: instructions(names).flatMap((instruction) => {
      const outcome = outcomes.get(instruction.id);
      if (outcome === undefined) return [];
      return [{ ...instruction, ...outcome, at: outcome.at?.toISOString() ?? null }];
    }),
  };
}

function refused(field: string, reason: string): AppError {
  return new AppError("unprocessable", `${field} ${reason}.`, [{ field, reason }]);
}

const noSuchCredential = () => new AppError("not_found", "There is no credential with this id.");
