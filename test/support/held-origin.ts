// An origin that sends no response until the test says so.
import type { Test } from 'tap'
import { eventually } from './log.ts'
import { startOrigin, type Recorded, type ScriptedOrigin } from './scripted-origin.ts'

/** A request whose response is held back. */
export interface Held {
  readonly recorded: Recorded
  answer(status: number, fields: Readonly<Record<string, string>>, body?: string): void
}

export interface HeldOrigin {
  readonly origin: ScriptedOrigin
  /** Every request for a target, in the order in which they came. */
  asked(target: string): readonly Held[]
  /** Request number `count` (from 1) for a target, once it has come. */
  nth(target: string, count: number): Promise<Held>
}

export async function startHeldOrigin(t: Pick<Test, 'teardown'>): Promise<HeldOrigin> {
  const held = new Map<string, Held[]>()
  const origin = await startOrigin((_request, response, recorded) => {
    const one: Held = { recorded, answer: (status, fields, body) => {
      response.writeHead(status, fields).end(body)
    } }
    held.set(recorded.target, [...held.get(recorded.target) ?? [], one])
  })
  t.teardown(() => origin.close())
  const asked = (target: string): readonly Held[] => held.get(target) ?? []
  return {
    origin,
    asked,
    nth: async (target, count) => {
      await eventually(() => asked(target).length >= count)
      return asked(target)[count - 1] as Held
    },
  }
}
