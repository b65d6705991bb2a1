// Rules for the fields that carry tags: each once, and none that HTTP gives another meaning.
import type { Problem } from './problem.ts'
import type { Config } from './schema.ts'

// Clients would not receive them, or the proxy reads them in another way.
const otherMeaning =
  /^(?:content-.*|transfer-encoding|connection|keep-alive|trailer|te|upgrade|via|age|date|etag|expires|last-modified|vary|pragma|location|allow|set-cookie|(?:.*-)?cache-control|surrogate-control|cache-status|cache-group-invalidation|www-authenticate|proxy-.*|access-control-.*|strict-transport-security|x-frame-options|x-content-type-options|link|retry-after|accept-ranges)$/

/** Returns the problems of `cache.tags.fields`. @param sound returns true if the value at a path is valid, and so may be checked */
export function tagProblems({ fields }: Config['cache']['tags'], sound: (path: string) => boolean): Problem[] {
  return fields.flatMap(({ name, separator }, index) => {
    const path = `cache.tags.fields[${index}]`
    if (!sound(`${path}.name`) || !sound(`${path}.separator`) || typeof name !== 'string') return []
    if (fields.findIndex((other) => other?.name === name) < index) return [{ path: `${path}.name`, message: `${name} is listed twice; list each field once` }]
    if (otherMeaning.test(name)) return [{ path: `${path}.name`, message: `${name} has another meaning in HTTP, and carries no tags; name a field that only carries tags` }]
    if (name === 'cache-groups' && separator !== 'structured')
      return [{ path: `${path}.separator`, message: `cache-groups is a list of strings in quotes (RFC 9875 §2); write structured` }]
    return []
  })
}
