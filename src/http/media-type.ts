// Media types that decide how long a response may last (RFC 9110 §8.3.1).
import { fieldValue, type FieldLines } from './fields.ts'

/** Returns whether a response is an event stream, which is silent while no event happens, and may never end. */
export function isEventStream(fields: FieldLines): boolean {
  return /^text\/event-stream\s*(?:;|$)/i.test(fieldValue(fields, 'content-type') ?? '')
}

/** Returns whether a response is one of gRPC, whose clients have deadlines of their own. */
export function isGrpc(fields: FieldLines): boolean {
  return /^application\/grpc(?:-web(?:-text)?)?(?:\+[\w.-]+)?\s*(?:;|$)/i.test(fieldValue(fields, 'content-type') ?? '')
}
