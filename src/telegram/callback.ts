/**
 * What the unsubscribe button of a message tells the bot. A client can forge it, so it acts on nothing but the chat
 * that it comes from.
 */
export const UNSUBSCRIBE_CALLBACK = "edgr:unsubscribe";

/** The same button's in a test message, which changes nothing. */
export const TEST_CALLBACK = "edgr:test";
