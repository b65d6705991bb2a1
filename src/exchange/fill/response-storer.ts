// The store's side of a fill: decides how the origin's response is stored; RFC 9111 §3, §3.3 and §3.4.
import { hasField, withoutFields } from '../../http/fields.ts'
import { isEventStream } from '../../http/media-type.ts'
import { combinedPart, isAll, maxCombinedBytes, offsetOf } from '../../policy/combine.ts'
import { contentFields, receivedContent, partBytes } from '../../policy/part.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import { assessResponse, type ReceivedHead } from '../../policy/storable.ts'
import type { Metadata, Part } from '../../policy/stored.ts'
import { mergedFields } from '../../policy/validation.ts'
import { outdatedAmong } from '../../policy/vary.ts'
import type { Outcome } from '../../store/lease.ts'
import type { Awaitable, Refusal, Stored, Writer } from '../../store/store.ts'
import type { RoutedRequest } from '../routed-request.ts'
import { CombiningWriter } from './combining-writer.ts'
import { datedFields, type Freshening } from './freshen.ts'
import { isConditional, type FillParts, type FillPlan } from './plan.ts'
import { lookup, verdictNow } from '../lookup.ts'
import { storedOutcome } from '../coalesce/outcome.ts'

/** Stores a response, or decides that it is not stored. */
export class ResponseStorer {
  readonly #parts: FillParts
  readonly #asked: RoutedRequest
  readonly #plan: FillPlan
  #writer: Writer | undefined
  #combining: CombiningWriter | undefined
  #head: ReceivedHead | undefined
  #meta: Metadata | undefined
  /** The response as it is received, without the stored part that it may be combined with. */
  #received: Metadata | undefined
  #notStored: NotStoredReason | undefined = 'incomplete'
  /** How long the body must be if it is what its head says; undefined: as long as it is. */
  #expectedBytes: number | undefined
  #bytes = 0

  constructor(parts: FillParts, asked: RoutedRequest, plan: FillPlan) {
    this.#parts = parts
    this.#asked = asked
    this.#plan = plan
  }

  /** True while the received bytes are stored. */
  get open(): boolean {
    return this.#writer !== undefined
  }

  /** The variant under which it is being stored; undefined: it is not. */
  get variant(): string | undefined {
    return this.open ? this.#meta?.variant : undefined
  }

  /** The response as it is received, if its bytes are stored; not the stored part that it may be combined with. */
  get arriving(): Metadata | undefined {
    return this.open ? this.#received : undefined
  }

  /** Returns bytes that were received, from a position on, while the store's writer has them in memory. */
  written(position: number): Buffer | undefined {
    return this.#combining === undefined ? this.#writer?.written?.(position) : undefined
  }

  /** True if the complete response is received, and stored as it arrives. */
  get arrivesWhole(): boolean {
    return this.open && this.#combining === undefined && this.whole
  }

  /** True if the complete response results, not a part. */
  get whole(): boolean {
    return this.#meta !== undefined && this.#meta.part === undefined
  }

  /** The tags of the response that is being stored; none if it is not. */
  get tags(): readonly string[] {
    return this.#meta?.tags ?? []
  }

  /** Why it is not stored; undefined: it is, as far as is known by now. */
  get notStored(): NotStoredReason | undefined {
    return this.#notStored
  }

  /** The head of the response; undefined before it has arrived. */
  get head(): ReceivedHead | undefined {
    return this.#head
  }

  /** Judges a response by its head. @param announcedBytes its Content-Length; -1 without */
  begin(head: ReceivedHead, announcedBytes: number): void {
    const { route: { rules }, key } = this.#asked
    const { store, purgeLog } = this.#parts
    this.#head = head
    const verdict = this.#plan.mayStore ? this.#assess(head) : undefined
    if (verdict === undefined) this.#notStored = 'request-method'
    else if (!verdict.store) this.#notStored = verdict.reason
    else if (announcedBytes > rules.maxEntryBytes) this.#notStored = 'too-large'
    // A stream of events has no end, so nobody is to wait for it, nor is it to go on when its client has left.
    else if (isEventStream(head.fields)) this.#notStored = 'incomplete'
    // Out of touch with the purge log: whatever is stored now would be dead when it is looked up.
    else if (!purgeLog.isCaughtUp()) this.#notStored = 'store-refused'
    else {
      // No follower waits for a response that the store can never keep.
      const { part } = verdict.meta
      this.#notStored = store.refuses?.(key, verdict.meta, announcedBytes < 0 && part !== undefined ? partBytes(part) : announcedBytes)
      if (this.#notStored !== undefined) return
      if (verdict.meta.part === undefined) this.#open(key, verdict.meta)
      else this.#openPart(key, verdict.meta, verdict.meta.part, head, announcedBytes)
    }
  }

  #assess(head: ReceivedHead): ReturnType<typeof assessResponse> {
    const { request, requestField, route: { rules }, known } = this.#asked
    const content = receivedContent(this.#plan.range?.range, head.status, head.fields)
    if (content === undefined) return { store: false, reason: 'partial' }
    // It judges the condition of this request, also where the operator names the status (`ttl.status`).
    if (head.status === 412 && isConditional(this.#plan, request)) return { store: false, reason: 'status' }
    return assessResponse(request, requestField, head, rules, content === 'whole' ? undefined : content, request.method, known)
  }

  #open(key: string, meta: Metadata): void {
    this.#meta = this.#received = meta
    this.#writer = this.#parts.store.write(key, meta)
  }

  #openPart(key: string, meta: Metadata, part: Part, head: ReceivedHead, announcedBytes: number): void {
    const bytes = partBytes(part)
    // Another length than the ranges say: kept as it came, for requests with the same Range (src/policy/README.md).
    if (announcedBytes >= 0 && announcedBytes !== bytes) return this.#open(key, meta)
    this.#expectedBytes = bytes
    if (this.#combine(key, meta, part, head)) return
    // RFC 9110 §15.3.7: with If-Range an origin leaves out what the client has already. Others have not.
    if (this.#plan.range?.ifRange === undefined) {
      const whole = isAll(part) ? this.#reassess({ ...head, status: 200, fields: withoutFields(head.fields, contentFields) }, undefined) : undefined
      this.#open(key, whole ?? meta)
    } else if (hasField(head.fields, 'content-type')) this.#open(key, meta)
    else this.#notStored = 'partial'
  }

  /** §3.4: one entry of the stored part and this one; false: they are not to be joined, and the newer takes the other's place. */
  #combine(key: string, fresh: Metadata, part: Part, head: ReceivedHead): boolean {
    const { part: old } = this.#plan
    const [arriving] = part.ranges
    if (old?.meta.part === undefined || arriving === undefined || verdictNow(this.#parts.purgeLog, old.meta) === 'dead') return false
    const together = combinedPart(old.meta, fresh, Math.min(this.#asked.route.rules.maxEntryBytes, maxCombinedBytes))
    if (together === undefined) return false
    const whole = together === 'whole'
    // §3.2: what the new response says counts. But a purge that was after the older one must find it in what they become.
    const fields = withoutFields(mergedFields([...old.meta.fields, ...old.meta.cacheOnlyFields], datedFields(head)), contentFields)
    const stamp = old.meta.stamp < fresh.stamp ? old.meta.stamp : fresh.stamp
    const meta = this.#reassess({ ...head, status: whole ? 200 : 206, fields, stamp }, whole ? undefined : together)
    if (meta === undefined) return false
    if (this.#parts.store.refuses?.(key, meta, old.meta.bodyBytes + partBytes(part)) !== undefined) return false
    this.#meta = { ...meta, tags: [...new Set([...old.meta.tags, ...meta.tags])] }
    const stored = { part: old.meta.part, body: old.body, bodyBytes: old.meta.bodyBytes }
    this.#combining = new CombiningWriter(this.#parts.store.write(key, this.#meta), stored, arriving)
    this.#writer = this.#combining
    this.#received = fresh
    return true
  }

  #reassess(head: ReceivedHead, part: Part | undefined): Metadata | undefined {
    const { request, requestField, route: { rules }, known } = this.#asked
    const verdict = assessResponse(request, requestField, head, rules, part, request.method, known)
    return verdict.store ? verdict.meta : undefined
  }

  /** Takes the next bytes; a promise means: wait before the next ones. A refusal: from now on it is not stored. */
  write(chunk: Buffer): Awaitable<void> | Refusal {
    if (this.#writer === undefined) return
    this.#bytes += chunk.length
    if (this.#bytes > this.#asked.route.rules.maxEntryBytes) return this.#refuse('too-large')
    const taken = this.#writer.write(chunk)
    return this.#writer.gaveUp === undefined ? taken : this.#refuse(this.#writer.gaveUp)
  }

  #refuse(reason: Refusal): Refusal {
    this.abort()
    this.#notStored = reason
    return reason
  }

  /** Ends the message. Returns the outcome for followers and for hit-for-miss. */
  commit(): Awaitable<Outcome> {
    if (this.#writer === undefined || this.#meta === undefined) return 'failed'
    // A purge came while it was in flight. Every lookup would find it dead; an entry stored since may not be.
    if (this.#parts.purgeLog.judge(this.#meta) === 'dead') {
      this.#writer.abort()
      return 'failed'
    }
    if (this.#expectedBytes !== undefined && this.#bytes !== this.#expectedBytes) {
      this.#notStored = 'incomplete'
      this.#writer.abort()
      return 'failed'
    }
    const taken = this.#writer.commit()
    const { part } = this.#plan
    const outdated = this.#asked.outdatedBy(this.#meta)
    if (typeof taken === 'boolean' && part === undefined && outdated.length === 0) return this.#outcome(this.#meta, taken)
    return this.#supersede(taken, this.#meta, part?.meta.variant, outdated)
  }

  // Removes the incomplete response once the complete one is stored, or once its body is lost.
  async #supersede(taking: Awaitable<boolean>, meta: Metadata, part: string | undefined, outdated: readonly string[]): Promise<Outcome> {
    const taken = await taking
    if (part !== undefined && (taken ? this.whole : this.#combining?.lost === true)) await this.forget(part)
    if (taken) await this.#forgetAll(outdated)
    if (taken && (this.#writer?.others ?? 0) > this.#asked.foundBeside(meta.variant)) await this.#forgetOutdated()
    return this.#outcome(meta, taken)
  }

  // Another process has stored a variant since the last look-up. The two may not know each other's selecting fields, and each may be
  // alone in the memory of its replica.
  async #forgetOutdated(): Promise<void> {
    try {
      const variants = await lookup(this.#parts.store, this.#parts.purgeLog, this.#asked.key)
      await this.#forgetAll(outdatedAmong(variants).map(({ meta: { variant } }) => variant))
    } catch { /* A store that is out of reach: nobody finds what it holds. */ }
  }

  // They match no request any more. Another replica may hold a copy of one alone, without the response that says so: the
  // removal reaches that copy too.
  async #forgetAll(variants: readonly string[]): Promise<void> {
    for (const variant of variants) await this.forget(variant)
  }

  // A part says nothing of whether the whole could be stored, if that is what the followers want.
  #outcome(meta: Metadata, taken: boolean): Outcome {
    if (meta.part === undefined || (this.#asked.request.range !== undefined && !this.#asked.fetchesWhole)) return storedOutcome(this.#parts, this.#asked, meta, taken)
    return taken ? 'stored' : 'refused'
  }

  abort(): void {
    this.#writer?.abort()
    this.#writer = undefined
  }

  /** Returns the committed response from the store, unless a purge or another fill came after it. Never rejects. */
  async stored(): Promise<Stored | undefined> {
    const mine = this.#meta
    try {
      const variants = await lookup(this.#parts.store, this.#parts.purgeLog, this.#asked.key)
      return variants.find(({ meta }) => meta.variant === mine?.variant && meta.requestTimeMs === mine.requestTimeMs)
    } catch {
      return undefined
    }
  }

  /** Returns the committed response as it was received: without the part that it was combined with. Never rejects. */
  async storedAsReceived(): Promise<Stored | undefined> {
    const stored = await this.stored()
    const [range] = this.#received?.part?.ranges ?? []
    if (stored === undefined || this.#received === undefined || this.#combining === undefined || range === undefined) return stored
    const offset = stored.meta.part === undefined ? range.start : offsetOf(stored.meta.part, range.start)
    const meta = { ...this.#received, bodyBytes: range.end - range.start }
    return { meta, body: { bytes: undefined, read: (start, end) => stored.body.read(offset + start, offset + end) } }
  }

  /** Renews an entry that a 304 confirmed, and returns whether that succeeded. If the store fails, the next request revalidates. Never rejects. */
  async keep({ keep, meta }: Freshening, was: Metadata): Promise<boolean> {
    if (keep === 'nothing') await this.forget(meta.variant)
    if (keep !== 'merged') return false
    try {
      const kept = await this.#parts.store.refresh(this.#asked.key, was, meta)
      if (kept) await this.#forgetAll(this.#asked.outdatedBy(meta).filter(variant => variant !== was.variant))
      return kept
    } catch {
      return false
    }
  }

  /** Stores nothing, and forgets the part that was to be completed: it cannot be. Never rejects. */
  async dropPart(): Promise<void> {
    this.abort()
    const { part } = this.#plan
    if (part !== undefined) await this.forget(part.meta.variant)
  }

  /** Takes a variant out of the store. Never rejects: one that stays is as good, or as dead, as it was. */
  async forget(variant: string): Promise<void> {
    try {
      await this.#parts.store.remove(this.#asked.key, variant)
    } catch { /* see above */ }
  }
}
