// Counts the requests to the admin API, for the metrics.
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { addRead, type Sample } from './traffic-metrics.ts'

/** The results of an attempt to log in. */
const loginResults = { 200: 'accepted', 401: 'refused', 429: 'throttled' } as const
const loginNames = [...Object.values(loginResults), 'failed'] as const

/** Counts by endpoint and class of status. The endpoints are closed: a path that does not exist is `other`. */
export class RequestCounts {
  readonly #requests = new Map<string, number>()
  readonly #logins = new Map<string, number>(loginNames.map(name => [name, 0]))

  /** Counts each response of the listener from now on, and knows each endpoint that is added from now on. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url }) => void this.#requests.set(`${url} 2xx`, 0))
    app.addHook('onResponse', async (request, reply) => {
      const endpoint = request.routeOptions.url ?? 'other'
      add(this.#requests, `${endpoint} ${Math.floor(reply.statusCode / 100)}xx`)
      if (endpoint === '/v1/login' && request.method === 'POST') add(this.#logins, loginResults[reply.statusCode as keyof typeof loginResults] ?? 'failed')
    })
  }

  register(registry: Registry): void {
    addRead(registry, 'counter', 'admin_requests_total', 'Requests to the admin API by endpoint and class of status.', () => this.#endpoints())
    addRead(registry, 'counter', 'admin_logins_total', 'Attempts to log in at the admin listener, by their result.',
      () => Array.from(this.#logins, ([result, value]) => ({ labels: { result }, value })))
  }

  #endpoints(): Sample[] {
    return Array.from(this.#requests, ([name, value]) => {
      const [endpoint = '', status = ''] = name.split(' ')
      return { labels: { endpoint, status }, value }
    })
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
