// The documents of the admin API, as far as the page reads them.

/** Every request has one outcome. The order is that of the charts, from the bottom. */
export const outcomes = ['hit', 'stale', 'revalidated', 'coalesced', 'miss', 'pass', 'error'] as const
export type Outcome = (typeof outcomes)[number]

/** The numbers of one process, or of all replicas. */
export type Scope = 'fleet' | 'replica'

export type Counts = Readonly<Record<string, number>>

export interface Latency {
  readonly count: number
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly max: number | null
}

export interface Bytes {
  readonly toClients: number
  readonly fromOrigins: number
  readonly saved: number
}

export interface Stats {
  readonly scope: Scope
  readonly version: string
  readonly uptimeMs: number
  readonly requests: number
  readonly outcomes: Counts
  readonly hitRatio: number | null
  readonly bytes: Bytes
  readonly savedOriginMs: number
  readonly latencyMs: Readonly<Record<string, Latency>>
  readonly replicas?: { readonly live: number; readonly reporting: number }
  readonly store: { readonly kind: string; readonly entries?: number; readonly bytes?: number; readonly maxBytes?: number; readonly evictions: number;
    readonly degraded: readonly string[] }
  readonly purgeLog: { readonly current: boolean }
  readonly configuration?: { readonly differing: readonly unknown[] }
}

export type Series = readonly (number | null)[]

export interface History {
  readonly scope: Scope
  readonly fromMs: number
  readonly stepMs: number
  readonly series: Readonly<Record<string, Series>>
}

export interface RouteRow {
  readonly route: string
  readonly origin: string
  readonly mode: string
  readonly requests: number
  readonly outcomes: Counts
  readonly hitRatio: number | null
  readonly bytes: Bytes
  readonly latencyMs: Readonly<Record<string, Latency>>
  readonly notStored: Counts
}

export interface TopItem {
  readonly name: string
  readonly value: number
  readonly error: number
  readonly share: number
  readonly hitRatio: number | null
}

export interface Top {
  readonly windowMs: number
  readonly sampledOneIn: number
  readonly items: readonly TopItem[]
}

export interface OriginRow {
  readonly origin: string
  readonly url: string
  readonly healthy: boolean
  readonly pending: number
  readonly streams: number
  readonly consecutiveFailures: number
  readonly requests?: number
  readonly errors?: number
  readonly p50?: number | null
  readonly p99?: number | null
  readonly lastError?: { readonly code: string; readonly atMs: number } | null
}

export const replicaStates = ['ok', 'lagging', 'degraded', 'draining', 'silent'] as const
export type ReplicaState = (typeof replicaStates)[number]

export interface ReplicaRow {
  readonly id: string
  readonly applied: string
  readonly host?: string
  readonly pid?: number
  readonly version?: string
  readonly startedMs?: number
  readonly state?: ReplicaState
  readonly lagMs?: number | null
  readonly requestsPerSecond?: number | null
  readonly hitRatio?: number | null
  readonly p99Ms?: number | null
  readonly memoryBytes?: number | null
  readonly seenMs?: number | null
}

export interface PurgeRow {
  readonly id: string
  readonly atMs: number
  readonly soft: boolean
  readonly all: boolean
  readonly urls: readonly string[]
  readonly prefixes: readonly string[]
  readonly tags: readonly string[]
  readonly tagsMatch: string
  readonly by?: string | null
  readonly cause?: string
}

export interface Receipt {
  readonly id: string
  readonly soft: boolean
  readonly replicas: { readonly live: number; readonly acknowledged: number }
  readonly matched?: number | 'unknown'
}

export interface EntryRow {
  readonly key: string
  readonly url: string
  readonly variant: string
  readonly status: number
  readonly bytes: number
  readonly ageMs: number
  readonly lifetimeMs: number
  readonly tags: readonly string[]
  readonly vary: readonly string[]
  readonly verdict: string
}

export interface Entries {
  readonly entries: readonly EntryRow[]
  readonly cursor?: string
}

export interface Step {
  readonly step: string
  readonly outcome: string
  readonly reason?: string
  readonly field?: string
  readonly value?: string
  readonly section?: string
}

export interface Refusal {
  readonly atMs: number
  readonly replica: string
  readonly status: number
  readonly reason: string
  readonly field?: string
  readonly meaning: string
  readonly advice: string
}

export interface Explanation {
  readonly url: string
  readonly method: string
  readonly route: string
  readonly key?: string
  readonly keyParts?: readonly { readonly part: string; readonly value: string; readonly source?: string }[]
  readonly decision: { readonly action: string; readonly reason: string; readonly section?: string; readonly meaning?: string; readonly advice?: string }
  readonly steps?: readonly Step[]
  readonly variants?: readonly {
    readonly variant: string
    readonly status: number
    readonly freshness: string
    readonly ageMs: number
    readonly lifetimeMs: number
    readonly bytes: number
    readonly tags: readonly string[]
    readonly verdict: string
    readonly tier?: string
  }[]
  readonly unkeyed?: readonly string[]
  readonly last?: readonly Refusal[]
  readonly tried?: { readonly status?: number; readonly stored?: boolean; readonly reason?: string; readonly meaning?: string; readonly advice?: string; readonly ms?: number;
    readonly error?: string }
}

/** A request, as the live tail sends it. */
export interface TailRequest {
  readonly time?: string | number
  readonly outcome: string
  readonly reason?: string
  readonly status: number
  readonly method: string
  readonly host?: string
  readonly target: string
  readonly route?: string
  readonly ms?: number
  readonly bytes?: number
  readonly notStored?: string
  readonly origin?: string
}
