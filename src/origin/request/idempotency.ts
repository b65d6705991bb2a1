// Decides by the method whether a request may be sent again.

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'SEARCH', 'REPORT', 'QUERY'])

/**
 * Returns whether a request may be sent twice although the first may have been processed: the registered safe methods, PUT and
 * DELETE (RFC 9110 §9.2.2). A second DELETE may get 404, but its intended effect has happened.
 */
export function isIdempotent(method: string): boolean {
  return idempotent.has(method)
}

const askedElsewhere: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Returns whether `retryOn` applies to a method. With any other method, the first server may have acted on the request. */
export function isRetriedOnStatus(method: string): boolean {
  return askedElsewhere.has(method)
}
