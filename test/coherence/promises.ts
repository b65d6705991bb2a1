// Promises that hold once the work that they need is in this tree: one word each to change.

/**
 * A replica keeps what unsafe requests invalidate while Redis is in trouble, and records it before it counts as well again.
 * false: whoever logs that it could not be recorded is excused for ever.
 */
export const unsafeRequestsAreKept: boolean = false
