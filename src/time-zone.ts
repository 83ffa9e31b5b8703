/** Whether it is a name of the IANA database, such as Europe/Paris. */
export function isTimeZone(name: string): boolean {
  // Intl also takes offsets such as +01:00, which no calendar of summer times follows.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}
