// Observers of exchanges: none, and two as one.
import type { SpringhouseError } from '../../errors.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import type { ClientExchange, ExchangeEvent, ExchangeObserver } from './exchange.ts'

/** Observes nothing. */
export const noObserver: ExchangeObserver = { delivered() {}, failed() {}, notStored() {}, deferred() {}, count() {} }

/** Two observers as one. */
export class BothObservers implements ExchangeObserver {
  readonly #first: ExchangeObserver
  readonly #second: ExchangeObserver

  constructor(first: ExchangeObserver, second: ExchangeObserver) {
    this.#first = first
    this.#second = second
  }

  delivered(exchange: ClientExchange): void {
    this.#first.delivered(exchange)
    this.#second.delivered(exchange)
  }

  failed(error: SpringhouseError, exchange: ClientExchange): void {
    this.#first.failed(error, exchange)
    this.#second.failed(error, exchange)
  }

  notStored(reason: NotStoredReason): void {
    this.#first.notStored(reason)
    this.#second.notStored(reason)
  }

  deferred(cause: unknown, exchange: ClientExchange): void {
    this.#first.deferred(cause, exchange)
    this.#second.deferred(cause, exchange)
  }

  count(event: ExchangeEvent): void {
    this.#first.count(event)
    this.#second.count(event)
  }
}
