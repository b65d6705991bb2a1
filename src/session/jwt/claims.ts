// The claims of a token, as JSON texts: what a provider writes reaches keys and backends byte for byte.
import { jsonText, JsonFault, parseJsonBytes, type Json, type JsonObject } from '../json.ts'

/** Levels of claims. Providers nest three or four. */
const mostLevels = 16

/** The parts of a compact JWS (RFC 7515 §7.1), decoded and not verified. */
export interface DecodedToken {
  readonly header: JsonObject
  readonly claims: JsonObject
}

/**
 * Decodes a token without verifying it. Refuses what parsers read in different ways, such as a member that occurs twice.
 * Returns undefined if it is no compact JWS of two JSON objects.
 */
export function decodeToken(text: string): DecodedToken | undefined {
  const parts = text.split('.')
  if (parts.length !== 3) return undefined
  const [header, claims] = parts.slice(0, 2).map(objectOf)
  return header === undefined || claims === undefined ? undefined : { header, claims }
}

const base64url = /^[\w-]+$/

function objectOf(part: string): JsonObject | undefined {
  if (!base64url.test(part)) return undefined
  try {
    const value = parseJsonBytes(Buffer.from(part, 'base64url'), mostLevels)
    return value.kind === 'object' ? value : undefined
  } catch (error) {
    if (error instanceof JsonFault) return undefined
    throw error
  }
}

/** Returns a member that is a string. */
export function stringOf({ members }: JsonObject, name: string): string | undefined {
  const member = members.get(name)
  return member?.kind === 'leaf' && member.text.startsWith('"') ? (JSON.parse(member.text) as string) : undefined
}

/** Returns a member that is a number; of seconds since the epoch, in claims. */
export function numberOf({ members }: JsonObject, name: string): number | undefined {
  const member = members.get(name)
  return member?.kind === 'leaf' && /^-?\d/.test(member.text) ? Number(member.text) : undefined
}

/** Returns the claim at a place as JSON text. @param place its name, or a path to a member of it that begins with / (RFC 6901) */
export function claimText(claims: JsonObject, place: string): string | undefined {
  let value: Json | undefined = claims
  const names = place.startsWith('/') ? place.slice(1).split('/').map(name => name.replaceAll('~1', '/').replaceAll('~0', '~')) : [place]
  for (const name of names) value = value?.kind === 'object' ? value.members.get(name) : undefined
  return value === undefined ? undefined : jsonText(value)
}
