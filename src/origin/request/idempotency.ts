// Which requests may be sent a second time, by their methods.

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'SEARCH', 'REPORT', 'QUERY'])

/**
 * Whether a request may be sent twice although the first may have been acted on: by the safe methods that are registered, PUT
 * and DELETE (RFC 9110 §9.2.2). A second DELETE may be answered with 404, but what it was to bring about has been.
 */
export function isIdempotent(method: string): boolean {
  return idempotent.has(method)
}

const askedElsewhere: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether another server may be asked where an answer was not to the route's liking: on the other methods somebody has acted. */
export function isRetriedOnStatus(method: string): boolean {
  return askedElsewhere.has(method)
}
