// Makes docs/reasons.md from the program's own texts: `npm run generate` writes the page, and test/docs.test.ts compares it.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)

const opening = `# Reasons and errors

Every response carries one reason: the \`detail\` of its Cache-Status, the label in the metrics, and the reason in \`springhouse
explain\`, which fills in what it knows of the request. This page is made from the program (\`npm run generate\`).

\`\`\`
Cache-Status: springhouse; hit; ttl=52; detail=fresh                          served from cache
Cache-Status: springhouse; fwd=uri-miss; fwd-status=200; stored; detail=uri-miss   fetched, and stored
Cache-Status: springhouse; fwd=uri-miss; fwd-status=200; detail=no-store      fetched, not stored, and why
Cache-Status: springhouse; fwd=uri-miss; collapsed; ttl=60; detail=uri-miss   waited for another's fetch, and shares its response
Cache-Status: springhouse; fwd=method; detail=method                          bypasses the cache: forwarded
\`\`\`
`

const errorsOpening = `## Errors

The proxy's own error responses are problem documents (RFC 9457) with this \`code\`. If RFC 9209 has an error type for it, the response
also has a Proxy-Status. It names no internal address, path or version; the log has the cause.
`

/**
 * Returns the page.
 * @param {{ decisionReasons: readonly string[], notStoredReasons: readonly string[], explainReason: (reason: string) => { section: string, meaning: string, advice: string },
 *   errorCatalogue: Readonly<Record<string, { status: number, source: string, sentence: string, proxyError?: string }>> }} program
 */
export function reasonsPage({ decisionReasons, notStoredReasons, explainReason, errorCatalogue }) {
  const rows = reasons =>
    reasons.map(reason => {
      const { section, meaning, advice } = explainReason(reason)
      return `| \`${reason}\` | ${section} | ${meaning} | ${advice} |`
    })
  const heads = ['| reason | section or setting | what it means | what to change |', '|---|---|---|---|']
  const errors = Object.entries(errorCatalogue).map(([code, { status, source, sentence, proxyError }]) =>
    `| \`${code}\` | ${status} | ${source} | ${proxyError === undefined ? '' : `\`${proxyError}\``} | ${sentence} |`
  )
  return [
    opening,
    '## What was done with a request',
    '',
    ...heads,
    ...rows(decisionReasons),
    '',
    '## Why a response was not stored',
    '',
    ...heads,
    ...rows(notStoredReasons),
    '',
    errorsOpening,
    '| code | status | whose | Proxy-Status | sentence |',
    '|---|---|---|---|---|',
    ...errors,
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [reasons, texts, errors] = await Promise.all(['policy/reasons.js', 'policy/explain-reason.js', 'errors.js'].map(file => import(new URL(`dist/${file}`, root).href)))
  writeFileSync(new URL('docs/reasons.md', root), reasonsPage({ ...reasons, ...texts, ...errors }))
}
