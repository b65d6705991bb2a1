// Combines the directives of two fields: a restriction in either holds.
import type { ResponseDirectives } from '../http/cache-control.ts'

/** Returns `directives` with all restrictions of `more`, and none of its permissions. */
export function restrictedBy(directives: ResponseDirectives, more: ResponseDirectives): ResponseDirectives {
  return {
    ...directives,
    noStore: directives.noStore || more.noStore,
    liftsNoStore: directives.liftsNoStore && !more.noStore,
    noCache: widest(directives.noCache, more.noCache),
    private: widest(directives.private, more.private),
    mustRevalidate: directives.mustRevalidate || more.mustRevalidate,
    // §5.2.2.10: s-maxage implies it.
    proxyRevalidate: directives.proxyRevalidate || more.proxyRevalidate || more.sMaxage !== undefined,
    mustUnderstand: directives.mustUnderstand || more.mustUnderstand,
    noTransform: directives.noTransform || more.noTransform,
  }
}

/** Returns `directives` with all restrictions of `more`, including lifetimes, and without any permission. */
export function restrictedByBoth(directives: ResponseDirectives, more: ResponseDirectives): ResponseDirectives {
  const seconds = lesserOf(directives.sMaxage ?? directives.maxAge, more.sMaxage ?? more.maxAge)
  return {
    ...restrictedBy(directives, more),
    maxAge: seconds,
    sMaxage: directives.sMaxage === undefined && more.sMaxage === undefined ? undefined : seconds,
    lifetimeMalformed: directives.lifetimeMalformed || more.lifetimeMalformed,
    staleWhileRevalidate: lesserOf(directives.staleWhileRevalidate, more.staleWhileRevalidate),
    staleIfError: lesserOf(directives.staleIfError, more.staleIfError),
    public: false,
    immutable: false,
    liftsNoStore: false,
    grantsSharing: false,
  }
}

function lesserOf(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? a ?? b : Math.min(a, b)
}

function widest(a: ResponseDirectives['noCache'], b: ResponseDirectives['noCache']): ResponseDirectives['noCache'] {
  if (a === undefined || b === undefined) return a ?? b
  return a === true || b === true ? true : [...a, ...b]
}
