// The files of the admin page: open to all, unchangeable under their paths, small, and behind a strict policy.
import tap from 'tap'
import { listen } from './support.ts'

tap.test('the document is open to all, and its policy allows the files of this listener alone', async (t) => {
  const { ask } = await listen(t)
  const page = await ask('/', { token: null })
  t.equal(page.status, 200)
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  t.equal(page.headers['cache-control'], 'no-store')
  t.match(page.headers['content-security-policy'],
    /^default-src 'none'; script-src 'self' 'sha256-[\w+/]{43}='; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/)
  t.equal((await ask('/', { method: 'HEAD', token: null })).status, 200)
  t.equal((await ask('/', { method: 'POST', token: null })).status, 405)
})

tap.test('every file that the document names is served for ever, and all of them are small', async (t) => {
  const { ask, port } = await listen(t)
  const document = (await ask('/', { token: null })).text
  const paths = [...new Set(document.match(/\/assets\/[\w/.-]+/g) ?? [])]
  t.ok(paths.length > 5)
  const base = /^\/assets\/[^/]+\//.exec(paths[0] ?? '')?.[0]
  let wire = document.length
  for (const path of [...paths, ...await importedBy(`${base}main.js`)]) {
    const plain = await ask(path, { token: null })
    t.equal(plain.status, 200, path)
    t.match(plain.headers['cache-control'], /immutable/)
    // fetch unzips the body; the length is that on the wire.
    const zipped = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'accept-encoding': 'br, gzip' } })
    t.equal(zipped.headers.get('content-encoding'), 'gzip')
    t.equal(await zipped.text(), plain.text)
    wire += Number(zipped.headers.get('content-length'))
  }
  t.ok(wire < 160_000, `${wire} bytes`)
  for (const path of ['/assets/', `${base}none.js`, `${base}../../package.json`, `${base}%2e%2e/admin/admin.js`, '/assets/old/main.js']) {
    t.equal((await ask(path, { token: null })).status, 404, path)
  }

  /** Returns the modules that a module imports, with those that these import. */
  async function importedBy(first: string): Promise<string[]> {
    const found = new Set<string>([first])
    for (const path of found) {
      const text = (await ask(path, { token: null })).text
      for (const [, name = ''] of text.matchAll(/from '(\.[^']+)'/g)) found.add(new URL(name, `http://a${path}`).pathname)
    }
    found.delete(first)
    return [...found]
  }
})

tap.test('without a dashboard there is no page', async (t) => {
  const { ask } = await listen(t, () => ({ dashboard: false }))
  t.equal((await ask('/')).status, 404)
  t.equal((await ask('/', { token: null })).status, 401)
})
