// A session's data: members by name, each as JSON text, changed by merge patches (RFC 7396).
import { jsonText, levelsOf, parseJson, type Json, type JsonObject } from './json.ts'

/** The members of a session's data, each with its JSON text. */
export type Members = ReadonlyMap<string, string>

/** The bounds of a session's data. */
export interface DataBounds {
  /** Bytes of the data as JSON text in UTF-8. */
  readonly maxBytes: number
}

export const mostMembers = 64
export const mostLevels = 8

/**
 * A change of a member. `expected`: the text that the change was computed from, which the member must still have, or `undefined`
 * if it must be absent. `blind`: the change does not depend on the text before.
 */
export type MemberChange =
  & { readonly name: string; readonly text: string | undefined }
  & ({ readonly blind: true } | { readonly blind: false; readonly expected: string | undefined })

/** Applies a merge patch to a value (RFC 7396 §2). @returns undefined if the result is no value: the patch is null */
export function mergePatch(target: Json | undefined, patch: Json): Json | undefined {
  if (patch.kind === 'leaf') return patch.text === 'null' ? undefined : patch
  const members = new Map(target?.kind === 'object' ? target.members : [])
  for (const [name, change] of patch.members) {
    const merged = mergePatch(members.get(name), change)
    if (merged === undefined) members.delete(name)
    else members.set(name, merged)
  }
  return { kind: 'object', members }
}

/** Returns the changes that a merge patch makes to data. A member whose patch is an object is merged with what `current` holds. */
export function changesOf(patch: JsonObject, current: Members): MemberChange[] {
  return [...patch.members].map(([name, change]): MemberChange => {
    if (change.kind === 'leaf') return { name, text: change.text === 'null' ? undefined : change.text, blind: true }
    const expected = current.get(name)
    const merged = mergePatch(expected === undefined ? undefined : parseJson(expected, mostLevels), change)
    return { name, text: merged === undefined ? undefined : jsonText(merged), blind: false, expected }
  })
}

/** Applies changes to members, whatever they expected. */
export function changed(members: Members, changes: readonly MemberChange[]): Map<string, string> {
  const result = new Map(members)
  for (const { name, text } of changes) {
    if (text === undefined) result.delete(name)
    else result.set(name, text)
  }
  return result
}

/** Returns data as JSON text, its members in their order. */
export function dataText(members: Members): string {
  let text = ''
  for (const [name, value] of members) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${value}`
  return `{${text}}`
}

/** Returns the bytes that a member takes in the JSON text, with its colon and a comma. */
export function memberBytes(name: string, text: string): number {
  return Buffer.byteLength(JSON.stringify(name)) + Buffer.byteLength(text) + 2
}

/** Returns the bytes of data: its JSON text with its braces, and a comma after each member. */
export function dataBytes(members: Members): number {
  let bytes = 2
  for (const [name, text] of members) bytes += memberBytes(name, text)
  return bytes
}

/** True if a change makes data larger than its bounds. Data beyond a bound that was lowered may shrink. */
export function outgrows(before: { readonly bytes: number; readonly members: number }, after: { readonly bytes: number; readonly members: number },
  { maxBytes }: DataBounds): boolean {
  return (after.bytes > maxBytes && after.bytes > before.bytes) || (after.members > mostMembers && after.members > before.members)
}

/** True if a patch nests no deeper than data may. The data itself is the first level. */
export function isShallow(patch: JsonObject): boolean {
  return levelsOf(patch) <= mostLevels
}
