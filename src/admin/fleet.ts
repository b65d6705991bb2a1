// The numbers of all replicas, as the endpoints show them; undefined without Redis, and while it is out of reach.
import type { Question, FleetMember } from '../observe/fleet.ts'
import type { FleetReport } from '../observe/fleet-report.ts'
import type { Rows } from '../observe/history.ts'
import type { AdminParts } from './parts.ts'

/** The replicas that report, and how many live. */
export interface Reporting {
  readonly members: readonly FleetMember[]
  readonly reports: readonly FleetReport[]
  readonly live: number
}

export class FleetNumbers {
  readonly #parts: AdminParts

  constructor(parts: AdminParts) {
    this.#parts = parts
  }

  /** Makes replicas report each second for a while. */
  watch(): void {
    this.#parts.fleet?.watch()
  }

  async reporting(): Promise<Reporting | undefined> {
    const { fleet, purgeLog } = this.#parts
    if (fleet === undefined) return undefined
    const [members, live] = await Promise.all([fleet.members().catch(() => undefined), purgeLog.replicas().catch(() => [])])
    if (members === undefined) return undefined
    const reports = members.map(({ report }) => report).filter(report => report !== undefined)
    return { members, reports, live: Math.max(live.length, reports.length) }
  }

  async rows(windowMs: number): Promise<Rows | undefined> {
    return this.#parts.fleet?.steps(windowMs).catch(() => undefined)
  }

  /** Returns the replies of all replicas that `read` accepts. */
  async replies<Reply>(question: Question, read: (value: unknown) => Reply | undefined): Promise<readonly Reply[] | undefined> {
    const reporting = await this.reporting()
    const texts = reporting === undefined ? undefined : await this.#parts.fleet?.query(question, reporting.reports.length).catch(() => undefined)
    return texts?.map(text => read(parsed(text))).filter(reply => reply !== undefined)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
