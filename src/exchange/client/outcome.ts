// The outcome of a request: a closed set, and one for each request.

/**
 * The outcome of a request, one for each:
 *
 * | outcome | meaning |
 * |---|---|
 * | `hit` | served from the store without contacting the origin, a 304 to the client included |
 * | `stale` | served from the store while stale: during a refresh, or in place of a failing or slow origin |
 * | `revalidated` | the origin responded 304, and the stored response was served |
 * | `coalesced` | served with the response to another request's fetch |
 * | `miss` | the cache had no usable response, and the origin responded |
 * | `pass` | the request is not the cache's |
 * | `error` | the proxy's own problem document |
 */
export type RequestOutcome = 'hit' | 'stale' | 'revalidated' | 'coalesced' | 'miss' | 'pass' | 'error'

export const requestOutcomes: readonly RequestOutcome[] = ['hit', 'stale', 'revalidated', 'coalesced', 'miss', 'pass', 'error']
