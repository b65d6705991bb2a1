// The fills in progress: how each begins, and how many there are.
import type { RoutedExchange } from '../client/exchange.ts'
import { Fill } from './fill.ts'
import type { FillOwner, FillParts, FillPlan } from './plan.ts'
import { WindowBudget } from './window-budget.ts'

/** The most memory that this process keeps for readers of responses that are still arriving. */
const mostWindowBytes = 33_554_432

/** Begins fills, and counts those in progress: a shutdown waits for them. */
export class Fills implements FillOwner {
  readonly #parts: FillParts
  // A number, not a Set: a Set that outgrows its tables keeps what was in them until the old generation is collected. With a
  // fill added and removed at each miss, whole requests stayed in memory long after their responses.
  #count = 0
  readonly windows = new WindowBudget(mostWindowBytes)

  constructor(parts: FillParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#count
  }

  start(exchange: RoutedExchange, plan: FillPlan): void {
    this.#count++
    plan.lead?.begin()
    new Fill(this.#parts, exchange, plan, this).start()
  }

  ended(): void {
    this.#count--
  }
}
