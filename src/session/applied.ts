// Applies what identifying a request has found to the request.
import type { RoutedExchange } from '../exchange/client/exchange.ts'
import type { AppliedIdentity } from '../exchange/routed-request.ts'
import { firstRawValue } from '../http/fields.ts'

/** Replaces a request by one with this identity, before anything is looked up for it. */
export function applyIdentity(exchange: RoutedExchange, applied: AppliedIdentity): void {
  const changing: { routed: RoutedExchange['routed'] } = exchange
  changing.routed = exchange.routed.identifiedAs(applied)
}

/** The fields of a request, in the form of Node's rawHeaders, without Authorization. */
export function withoutAuthorization(raw: readonly string[]): string[] {
  const others: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') others.push(name, raw[i + 1] as string)
  }
  return others
}

/** True for the preflight of a browser (Fetch §3.2.2), which sends no credentials with it. */
export function isPreflight({ head: { method, rawHeaders } }: RoutedExchange): boolean {
  return method === 'OPTIONS' && firstRawValue(rawHeaders, 'origin') !== undefined && firstRawValue(rawHeaders, 'access-control-request-method') !== undefined
}
