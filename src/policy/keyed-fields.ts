// Request fields that browsers send, that change the response, and that origins forgot to name in Vary.

/**
 * These fields are part of every key, unchanged. Pages of a framework send them, so the origin must receive them. If they
 * were not in the key, other clients could receive an attacker's data response as a page. docs/security.md lists the
 * advisories.
 */
export const keyedFields: ReadonlySet<string> = new Set([
  // Next.js: a data request of the pages router.
  'x-nextjs-data',
  // Next.js: a payload of React Server Components instead of HTML, and which part of it.
  'rsc',
  'next-router-state-tree',
  'next-router-prefetch',
  'next-router-segment-prefetch',
  'next-url',
  // SvelteKit: the page for which a remote function is called.
  'x-sveltekit-pathname',
  'x-sveltekit-search',
])
