// A story: responses that the origin gives in order, requests of clients, and the time between them.
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Answer } from '../support/client.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'

/** A response of the origin. A field whose value is undefined is not sent. */
export interface Scripted {
  readonly status?: number
  readonly fields?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
  /** How long the origin takes for it. */
  readonly delayMs?: number
}

export interface Story extends TestProxy {
  /** The requests that the origin has had, as `METHOD target`. */
  readonly requests: readonly string[]
  /** The fields of the last of them. */
  lastField(name: string): string | undefined
  /** `status body detail` of a response. */
  tell(answer: Answer): string
}

/** A proxy before an origin that gives these responses in order, and the last of them for ever. */
export async function story(test: Pick<Test, 'teardown'>, script: readonly Scripted[],
  options: { readonly cache?: Readonly<Record<string, unknown>>; readonly key?: Readonly<Record<string, unknown>>; readonly config?: Readonly<Record<string, unknown>> } =
    {}): Promise<Story> {
  const requests: string[] = []
  const seen: ((name: string) => string | undefined)[] = []
  const house = await startProxy(test as Parameters<typeof startProxy>[0], {
    host: 'api.example.com',
    ...options,
    origin: async (request, response) => {
      requests.push(`${request.method} ${request.url}`)
      seen.push(name => request.headers[name]?.toString())
      const { status = 200, fields = {}, body = '', delayMs } = script[Math.min(requests.length, script.length) - 1] ?? {}
      if (delayMs !== undefined) await delay(delayMs)
      const hasBody = status !== 304 && status !== 204
      response.writeHead(status, { ...(hasBody && { 'content-length': String(Buffer.byteLength(body)) }), ...fields as Record<string, string | string[]> })
      response.end(hasBody && request.method !== 'HEAD' ? body : undefined)
    },
  })
  return Object.assign(house, {
    requests,
    lastField: (name: string) => seen.at(-1)?.(name),
    tell: (answer: Answer) => `${answer.status} ${answer.body.toString()} ${/detail=([\w-]+)/.exec(answer.header('cache-status') ?? '')?.[1]}`,
  })
}
