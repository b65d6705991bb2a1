// A purge of a path alone is keyed by every route that keys it in a way of its own.
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { keyedPurge } from '../../src/exchange/routing/purge-keys.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import { purge } from '../support/purge.ts'

const turn = async (): Promise<void> => {}

// Guard: differentlyKeyed compares the tests of ignored parameters. They are functions, which JSON leaves out.
t.test('routes that ignore different parameters each key a path, and equal lists key it once', async t => {
  const ignoring = (path: string, ignore: string[]): object => ({ match: { path }, origin: 'api', key: { query: { ignore } } })
  const config = resolveConfig({
    origins: { api: { servers: ['http://127.0.0.1:1'] } },
    routes: [ignoring('/a', ['utm_*']), ignoring('/b', ['ref']), ignoring('/c', ['ref']), { match: {}, origin: 'api' }],
  })
  const { urls } = await keyedPurge(compileRoutes(config), purge({ urls: [{ authority: undefined, target: '/x?utm_a=1&ref=2&q=3' }] }), false, turn)
  t.same(urls.map(({ target }) => target).sort(), ['/x?ref=2&q=3', '/x?utm_a=1&q=3', '/x?utm_a=1&ref=2&q=3'])
})
