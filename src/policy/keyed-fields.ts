// Request fields that browsers send, that make another response of one URL, and that origins forgot to name in Vary.

/**
 * They are part of every key, as they come. Each is sent by its framework's own pages, so an origin must be sent it too; without
 * it in the key an attacker's data response is what others are given for a page. docs/security.md has the advisories.
 */
export const keyedFields: ReadonlySet<string> = new Set([
  // Next.js: a data request of the pages router.
  'x-nextjs-data',
  // Next.js: a payload of React Server Components in place of HTML, and which part of it.
  'rsc', 'next-router-state-tree', 'next-router-prefetch', 'next-router-segment-prefetch', 'next-url',
  // SvelteKit: the page on whose behalf a remote function is asked.
  'x-sveltekit-pathname', 'x-sveltekit-search',
])
