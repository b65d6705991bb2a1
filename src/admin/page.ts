// GET /, /docs and /assets: the admin page. Its files hold no data, so they need no token; the page logs in for what it shows.
import type { FastifyInstance } from 'fastify'
import { SpringhouseError } from '../errors.ts'
import { acceptsCodings } from '../http/content-codings.ts'
import { readPage, type PageFiles } from './page-files.ts'

/** Other pages may neither frame this one nor read it, and links that leave it carry no address (an address may hold a URL). */
const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin', 'referrer-policy': 'no-referrer' }

/** Adds the page. Its files are read at the first request. */
export function pageRoutes(app: FastifyInstance): void {
  let reading: Promise<PageFiles> | undefined
  const files = async (): Promise<PageFiles> => {
    try {
      return await (reading ??= readPage(new URL('../page/', import.meta.url)))
    } catch (error) {
      reading = undefined // A later request tries again.
      throw error
    }
  }

  app.get('/', { config: { scope: 'open' } }, async (_request, reply) => {
    const { document, policy } = await files()
    return reply.headers({ ...isolation, 'content-security-policy': policy, 'content-type': 'text/html; charset=utf-8' }).send(document)
  })

  // The page shows the description of the API to a login.
  app.get('/docs', { config: { scope: 'open' } }, async (_request, reply) => reply.redirect('/#/api', 302))

  app.get<{ Params: { '*': string } }>('/assets/*', { config: { scope: 'open' } }, async (request, reply) => {
    const asset = (await files()).assets.get(request.params['*'])
    if (asset === undefined) throw new SpringhouseError('NOT_FOUND')
    const zipped = acceptsCodings(request.headers['accept-encoding'] ?? '', 'gzip')
    return reply.headers({
      ...isolation,
      // The path holds a digest of the content, so it never changes.
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': asset.type,
      'vary': 'accept-encoding',
      ...(zipped && { 'content-encoding': 'gzip' }),
    }).send(zipped ? asset.zipped : asset.bytes)
  })
}
