// The rows of GET /v1/replicas: those that follow the purge log, those that report, and those that are silent.
import { Type } from '../json-schema.ts'
import type { FleetMember } from '../observe/fleet.ts'
import { replicaStates, type ProcessState } from '../observe/fleet-report.ts'
import { count, countOrNull, members, millis, ratio } from './response-schemas.ts'
import type { AdminParts } from './parts.ts'

const orNull = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()])

export const replicasSchema = members({
  replicas: Type.Array(members({
    id: Type.String(),
    applied: Type.Union([Type.String(), Type.Null()], { description: 'The last record of the purge log that it has applied; null if it does not follow the log now.' }),
    host: orNull(Type.String()),
    pid: countOrNull,
    version: orNull(Type.String()),
    startedMs: countOrNull,
    state: Type.Enum([...replicaStates], {
      description:
        'lagging: its last confirmed read of the purge log is older than half of `coherence.maxLagMs`. degraded: a part, such as Redis, is out of order. draining: starting or stopping. silent: it has not reported for three intervals.',
    }),
    lagMs: Type.Union([count, Type.Null()], { description: 'Since its last confirmed read of the purge log.' }),
    requestsPerSecond: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
    hitRatio: ratio,
    p99Ms: millis('The 99th percentile of its last requests'),
    memoryBytes: countOrNull,
    seenMs: Type.Union([count, Type.Null()], { description: 'When it last reported, in milliseconds since the epoch by its own clock.' }),
  })),
})

interface Follower {
  readonly id: string
  readonly applied: string
}

const unknown: Record<Exclude<keyof ProcessState, 'state'>, null> = { host: null, pid: null, version: null, startedMs: null, lagMs: null, requestsPerSecond: null, hitRatio: null,
  p99Ms: null, memoryBytes: null }

/** The row of a process that knows of no others. */
export function ownRow(follower: Follower, { ownState, clock }: AdminParts): Record<string, unknown> {
  return { ...follower, ...ownState(), seenMs: Math.round(clock.now()) }
}

/** A row for each replica that is known from the purge log or from its reports, by name. */
export function replicaRows(followers: readonly Follower[], reporting: readonly FleetMember[]): Record<string, unknown>[] {
  const applied = new Map(followers.map(follower => [follower.id, follower.applied]))
  const known = new Map(reporting.map(member => [member.id, member]))
  return [...new Set([...applied.keys(), ...known.keys()])].toSorted().map((id) => {
    const member = known.get(id)
    const state = member?.report?.process ?? { ...unknown, state: 'silent' }
    return { id, applied: applied.get(id) ?? null, ...state, seenMs: member === undefined || member.seenMs === 0 ? null : member.seenMs }
  })
}
