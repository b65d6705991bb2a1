// The files of the admin page: the document with its import map, and the assets under paths that hold a digest of all of them.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

export interface Asset {
  readonly type: string
  readonly bytes: Buffer
  readonly zipped: Buffer
}

export interface PageFiles {
  readonly document: Buffer
  /** The Content-Security-Policy of the document. */
  readonly policy: string
  /** By the path below /assets/. */
  readonly assets: ReadonlyMap<string, Asset>
}

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The packages that modules of the page import by name. */
const packages = { 'preact': 'preact.mjs', 'preact/hooks': 'preact-hooks.mjs', 'htm': 'htm.mjs', 'uplot': 'uplot.mjs' }

const sha256 = (...parts: readonly (string | Buffer)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

/** Returns the document. Everything it loads has `base` before its path. */
function documentOf(base: string, importMap: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Springhouse</title>
<link rel="icon" type="image/svg+xml" href="${base}icon.svg">
<link rel="stylesheet" href="${base}packages/uplot.css">
<link rel="stylesheet" href="${base}style.css">
<script type="importmap">${importMap}</script>
<script type="module" src="${base}main.js"></script>
</head>
<body>
<div id="app"></div>
<noscript><main class="login"><h1>Springhouse</h1><p>This page needs JavaScript. <code>springhouse stats</code> and the admin API show the same numbers.</p></main></noscript>
</body>
</html>
`
}

/**
 * Reads the page's folder.
 * @throws if the folder cannot be read
 */
export async function readPage(folder: URL): Promise<PageFiles> {
  const names = (await readdir(folder, { recursive: true })).map((name) => name.replaceAll('\\', '/')).filter((name) => extname(name) in types).sort()
  const contents = await Promise.all(names.map((name) => readFile(fileURLToPath(new URL(name, folder)))))
  // All files share one digest: modules import each other by relative paths, so a change of one gives all of them new paths.
  const version = sha256(...names.flatMap((name, i) => [name, '\0', contents[i] as Buffer, '\0'])).toString('base64url').slice(0, 16)
  const base = `/assets/${version}/`
  const importMap = JSON.stringify({ imports: Object.fromEntries(Object.entries(packages).map(([name, file]) => [name, `${base}packages/${file}`])) })
  const zip = promisify(gzip)
  const assets = new Map(await Promise.all(names.map(async (name, i): Promise<[string, Asset]> => {
    const bytes = contents[i] as Buffer
    return [`${version}/${name}`, { type: types[extname(name)] as string, bytes, zipped: await zip(bytes, { level: 9 }) }]
  })))
  return {
    document: Buffer.from(documentOf(base, importMap)),
    // Only files of this listener, and the one inline script that is the import map. Styles that scripts set are not inline styles.
    policy: `default-src 'none'; script-src 'self' 'sha256-${sha256(importMap).toString('base64')}'; style-src 'self'; img-src 'self'; connect-src 'self'; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    assets,
  }
}
