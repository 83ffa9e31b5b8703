import { z } from "zod";
import { maybe, maybeNumber, maybeText, text } from "./fields.ts";

/** A file of Telegram's, to be fetched by its id. Sizes in bytes and pixels, times in seconds. */
export type File = {
  type: FileType;
  fileId: string;
  fileUniqueId: string | null;
  fileName: string | null;
  mimeType: string | null;
  sizeBytes: number | null;
  width: number | null;
  height: number | null;
  durationSeconds: number | null;
  /** Of a sticker. */
  emoji: string | null;
};

/** What a message has beside its text. */
export type Media =
  | File
  | {
      type: "contact";
      phoneNumber: string;
      firstName: string | null;
      lastName: string | null;
      /** Whether it is the sender's own, as Telegram says. */
      isOwn: boolean;
    }
  | {
      type: "location";
      latitude: number;
      longitude: number;
      title: string | null;
      address: string | null;
    };

/** `animation` stands before `document`, which it sets too. */
const FILE_TYPES = ["animation", "audio", "document", "sticker", "video", "video_note", "voice"] as const;

type FileType = (typeof FILE_TYPES)[number] | "photo";

const file = z.object({
  file_id: text,
  file_unique_id: maybeText,
  file_name: maybeText,
  mime_type: maybeText,
  file_size: maybeNumber,
  width: maybeNumber,
  height: maybeNumber,
  duration: maybeNumber,
  emoji: maybeText,
});

const person = z.object({
  phone_number: text,
  first_name: maybeText,
  last_name: maybeText,
  user_id: maybeNumber,
});

const location = z.object({ latitude: z.number(), longitude: z.number() });

const venue = z.object({ location, title: maybeText, address: maybeText });

const media = z.object({
  photo: maybe(z.array(z.unknown())),
  contact: maybe(person),
  location: maybe(location),
  venue: maybe(venue),
});

/**
 * What a message has beside its text; null when it has only that. A message has one thing.
 * @param fromId the sender, whose own contact is told apart from one that he passes on
 */
export function readMedia(message: object, fromId: number | null): Media | null {
  const found = media.parse(message);
  const photo = largestPhoto(found.photo);
  if (photo !== null) return photo;
  const given = new Map(Object.entries(message));
  for (const type of FILE_TYPES) {
    const parsed = file.safeParse(given.get(type));
    if (parsed.success) return fileOf(type, parsed.data);
  }
  if (found.contact !== null) {
    const { phone_number: phoneNumber, first_name: firstName, last_name: lastName, user_id } = found.contact;
    return {
      type: "contact",
      phoneNumber,
      firstName,
      lastName,
      isOwn: user_id !== null && user_id === fromId,
    };
  }
  // A venue sets its location too.
  if (found.venue !== null) {
    const { location: at, title, address } = found.venue;
    return { type: "location", ...at, title, address };
  }
  if (found.location !== null) return { type: "location", ...found.location, title: null, address: null };
  return null;
}

/** The sizes are sorted, the largest last. */
function largestPhoto(sizes: readonly unknown[] | null): File | null {
  const parsed = file.safeParse(sizes?.at(-1));
  return parsed.success ? fileOf("photo", parsed.data) : null;
}

function fileOf(type: FileType, given: z.output<typeof file>): File {
  return {
    type,
    fileId: given.file_id,
    fileUniqueId: given.file_unique_id,
    fileName: given.file_name,
    mimeType: given.mime_type,
    sizeBytes: given.file_size,
    width: given.width,
    height: given.height,
    durationSeconds: given.duration,
    emoji: given.emoji,
  };
}
