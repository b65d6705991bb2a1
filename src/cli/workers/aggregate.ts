// Collects reports from all workers through the primary: the numbers of one worker alone say little.
import type { Worker } from 'node:cluster'
import type { ReportDetail, WorkerGroup, WorkerReport } from '../../admin/workers.ts'

type What = keyof WorkerReport

/** A message from a worker to the primary. */
export type FromMember =
  | { readonly type: 'gather'; readonly id: number; readonly what: What; readonly detail: unknown }
  | { readonly type: 'told'; readonly id: number; readonly value: unknown }

/** A message from the primary to a worker. */
export type ToMember =
  | { readonly type: 'tell'; readonly id: number; readonly what: What; readonly detail: unknown }
  | { readonly type: 'gathered'; readonly id: number; readonly values: readonly unknown[] }

/** How long to wait for a worker that hangs. A scrape has its own deadline. */
const patienceMs = 1_000

/** The worker's side. */
export class WorkerSide implements WorkerGroup {
  readonly worker = String(process.pid)
  readonly #send: (message: FromMember) => void
  readonly #asked = new Map<number, (values: readonly unknown[]) => void>()
  #tell: Parameters<WorkerGroup['report']>[0] | undefined
  #last = 0

  constructor(send: (message: FromMember) => void) {
    this.#send = send
  }

  report(tell: Parameters<WorkerGroup['report']>[0]): void {
    this.#tell = tell
  }

  async collect<W extends What>(what: W, detail: ReportDetail[W]): Promise<readonly WorkerReport[W][]> {
    const id = ++this.#last
    const values = await new Promise<readonly unknown[]>((resolve) => {
      this.#asked.set(id, resolve)
      this.#send({ type: 'gather', id, what, detail })
    })
    // Safe: all workers run this program, and reply with the requested report.
    return values as readonly WorkerReport[W][]
  }

  async take(message: ToMember): Promise<void> {
    if (message.type === 'gathered') {
      this.#asked.get(message.id)?.(message.values)
      this.#asked.delete(message.id)
      return
    }
    // A worker whose report fails is left out, like a worker that has ended.
    const tell = this.#tell?.[message.what] as ((detail: unknown) => unknown) | undefined
    const value = await Promise.resolve(tell?.(message.detail)).catch(() => undefined)
    this.#send({ type: 'told', id: message.id, value })
  }
}

interface Question {
  readonly asker: Worker
  readonly id: number
  readonly waitingFor: Set<Worker>
  /** In the order of the requests. */
  readonly values: Map<Worker, unknown>
  readonly patience: NodeJS.Timeout
}

/** The primary's side. */
export class PrimarySide {
  readonly #send: (worker: Worker, message: ToMember) => void
  readonly #serving = new Set<Worker>()
  readonly #questions = new Map<number, Question>()
  #last = 0

  constructor(send: (worker: Worker, message: ToMember) => void) {
    this.#send = send
  }

  /** Includes a worker from now on. */
  joined(worker: Worker): void {
    this.#serving.add(worker)
  }

  /** Removes a worker that has ended. */
  left(worker: Worker): void {
    this.#serving.delete(worker)
    for (const number of this.#questions.keys()) this.#heard(number, worker)
  }

  take(worker: Worker, message: FromMember): void {
    if (message.type === 'gather') this.#ask(worker, message)
    else this.#heard(message.id, worker, message.value)
  }

  #ask(asker: Worker, { id, what, detail }: FromMember & { type: 'gather' }): void {
    const number = ++this.#last
    const patience = setTimeout(() => this.#answer(number), patienceMs)
    const values = new Map<Worker, unknown>(Array.from(this.#serving, worker => [worker, undefined]))
    this.#questions.set(number, { asker, id, waitingFor: new Set(this.#serving), values, patience })
    for (const worker of this.#serving) this.#send(worker, { type: 'tell', id: number, what, detail })
    if (values.size === 0) this.#answer(number)
  }

  #heard(number: number, worker: Worker, value?: unknown): void {
    const question = this.#questions.get(number)
    if (question?.waitingFor.delete(worker) !== true) return
    question.values.set(worker, value)
    if (question.waitingFor.size === 0) this.#answer(number)
  }

  #answer(number: number): void {
    const question = this.#questions.get(number)
    if (question === undefined) return
    this.#questions.delete(number)
    clearTimeout(question.patience)
    this.#send(question.asker, { type: 'gathered', id: question.id, values: [...question.values.values()].filter(value => value !== undefined) })
  }
}
