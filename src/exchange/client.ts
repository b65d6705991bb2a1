// One client request while it is being answered: what was asked, on which route, and by whom.
import type { ServerResponse } from 'node:http'
import { normaliseAuthority } from '../http/authority.ts'
import { fieldLines, fieldValue, fieldValues, withoutFields, type FieldLines } from '../http/fields.ts'
import { forwardFields, type ClientConnection } from '../origin/forward.ts'
import { trustedWord } from '../origin/trusted-word.ts'
import { cacheKey } from '../policy/key.ts'
import { CacheRequest, scanFields, type RequestFault } from '../policy/request.ts'
import type { RequestField } from '../policy/vary.ts'
import { keyedTarget, matchRoute, type Route } from './routes.ts'

/** The head of a message as Node gives it. */
export interface RequestHead {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly rawHeaders: readonly string[]
}

/** A request that was understood and has a route. What is costly is made when it is first asked for. */
export class Asked {
  readonly request: CacheRequest
  readonly route: Route
  readonly #raw: readonly string[]
  readonly #client: ClientConnection
  readonly #viaName: string
  #forwarded: FieldLines | undefined
  #key: string | undefined
  #asked = 0
  #byName: ReadonlyMap<string, string> | undefined

  constructor(request: CacheRequest, route: Route, raw: readonly string[], client: ClientConnection, viaName: string) {
    this.request = request
    this.route = route
    this.#raw = raw
    this.#client = client
    this.#viaName = viaName
  }

  get key(): string {
    return this.#key ??= cacheKey(this.route.id, this.request, this.requestField, this.route.rules, this.route.keyRules, this.#trustedWord)
  }

  get #trustedWord(): FieldLines {
    return this.#client.trusted ? trustedWord(this.#raw, this.request) : noWord
  }

  /** The fields that an origin would be sent. */
  get forwarded(): FieldLines {
    return this.#forwarded ??= this.#allowed(forwardFields(fieldLines(this.#raw), this.#client, this.#viaName))
  }

  // What is passed has every field: nobody else is given its answer.
  #allowed(fields: FieldLines): FieldLines {
    const { allowedFields } = this.route.forwarding
    if (allowedFields === undefined) return fields
    return withoutFields(fields, { has: name => !allowedFields.has(name) })
  }

  /** The request's fields as the origin sees them: what Vary and the key read. */
  readonly requestField: RequestField = name => (++this.#asked > fewAsked ? this.#combined.get(name) : fieldValue(this.forwarded, name))

  get #combined(): ReadonlyMap<string, string> {
    return this.#byName ??= fieldValues(this.forwarded)
  }
}

const noWord: FieldLines = []
// Most requests are asked for a field or two, and going through their lines is cheapest. An origin may name thousands in Vary.
const fewAsked = 16

/** A request, and the response on which it is answered. */
export interface ClientExchange {
  readonly asked: Asked
  readonly response: ServerResponse
}

/** Why a request is refused before anything is looked up. */
export type Fault = RequestFault | 'no-route'

/**
 * Reads a request's line and fields and finds its route. The listener has seen to it that the target is in origin-form
 * and that there is at most one Host (proxy/admission.ts).
 */
export function receive(routes: readonly Route[], head: RequestHead, client: ClientConnection, viaName: string): Asked | Fault {
  const scan = scanFields(head.rawHeaders)
  if (scan.host === undefined) return 'host-missing'
  const authority = normaliseAuthority(scan.host, client.scheme)
  if (authority === undefined) return 'host-invalid'
  const target = head.url ?? '/'
  const route = matchRoute(routes, authority, target)
  if (route === undefined) return 'no-route'
  const line = { method: head.method ?? 'GET', scheme: client.scheme, authority, target: keyedTarget(route, target) }
  return new Asked(new CacheRequest(scan, line), route, head.rawHeaders, client, viaName)
}
