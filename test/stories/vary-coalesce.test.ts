// Variants of one URL are fetched beside one another, and each of them once.
import type { ServerResponse } from 'node:http'
import t from 'tap'
import type { Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { everyStore, told, type Fleet } from './fleet.ts'

t.setTimeout(240_000)

const languages = ['de', 'fr', 'it', 'es', 'nl', 'pl', 'sv', 'da', 'fi', 'cs']

/** An origin that varies by language, and holds each response until `release`. */
class HeldOrigin {
  readonly held: (() => void)[] = []
  holds = true
  fields: Readonly<Record<string, string>> = { 'cache-control': 'max-age=60', 'vary': 'Accept-Language' }

  readonly handler: OriginHandler = (request, response) => {
    const language = String(request.headers['accept-language'])
    const { fields } = this
    const respond = (): ServerResponse => response.writeHead(200, fields).end(language)
    if (this.holds) this.held.push(respond)
    else respond()
  }

  release(): void {
    for (const respond of this.held.splice(0)) respond()
  }
}

let origin = new HeldOrigin()
const fresh = (): OriginHandler => {
  origin = new HeldOrigin()
  return origin.handler
}

/** Requests each language once from both replicas. */
function all({ a, b }: Fleet, among: readonly string[]): Promise<Answer>[] {
  return among.flatMap(language => [a, b].map(replica => replica.get('/a', { 'Accept-Language': language })))
}

/** Stores a variant for each of eight languages, and lets time pass until they are stale. */
async function staleVariants(fleet: Fleet): Promise<readonly string[]> {
  const eight = languages.slice(0, 8)
  origin.holds = false
  for (const language of eight) await fleet.a.get('/a', { 'Accept-Language': language })
  await fleet.advance(61_000)
  return eight
}

async function bodies(answers: readonly Promise<Answer>[]): Promise<string[]> {
  return (await Promise.all(answers)).map(({ body }) => body.toString())
}

// The guard: fetchKey in exchange/routed-request.ts, and the variant in the name of a lease (store/redis/leases/leases.ts).
everyStore.test('ten variants of a cold URL need two rounds: the first response says what selects them', fresh, async (test, fleet) => {
  const answers = all(fleet, languages)
  await eventually(() => origin.held.length === 1)
  origin.release()
  await eventually(() => origin.held.length === 9)
  origin.release()
  test.same(await bodies(answers), languages.flatMap(language => [language, language]))
  test.equal(fleet.asked(), 10)
})

everyStore.test('eight stale variants are fetched in one round, and each once', fresh, async (test, fleet) => {
  const eight = await staleVariants(fleet)
  origin.holds = true
  const answers = all(fleet, eight)
  await eventually(() => origin.held.length === 8)
  origin.release()
  test.same(await bodies(answers), eight.flatMap(language => [language, language]))
  test.equal(fleet.asked(), 16)
})

everyStore.test('the refresh of one variant does not keep another from being refreshed', fresh, async (test, fleet) => {
  origin.fields = { ...origin.fields, 'cache-control': 'max-age=60, stale-while-revalidate=600' }
  const eight = await staleVariants(fleet)
  origin.holds = true
  for (const answer of await Promise.all(all(fleet, eight))) test.match(told(answer), /stale-while-revalidate$/)
  await eventually(() => origin.held.length === 8)
  origin.release()
  await eventually(async () => (await Promise.all(all(fleet, eight))).every(answer => told(answer).endsWith(' fresh')))
  test.equal(fleet.asked(), 16)
})

everyStore.test('a variant that is private does not keep the requests for another from waiting for one fetch', fresh, async (test, fleet) => {
  origin.holds = false
  await fleet.a.get('/a', { 'Accept-Language': 'de' })
  origin.fields = { 'cache-control': 'private', 'vary': 'Accept-Language' }
  test.equal(told(await fleet.b.get('/a', { 'Accept-Language': 'fr' })), 'fr private')
  await fleet.advance(61_000)
  origin.fields = { 'cache-control': 'max-age=60', 'vary': 'Accept-Language' }
  origin.holds = true
  const answers = [...all(fleet, ['de']), ...all(fleet, ['de'])]
  await eventually(() => origin.held.length === 1)
  origin.release()
  test.same(await bodies(answers), ['de', 'de', 'de', 'de'])
  test.equal(fleet.asked(), 3)
})

// The guard: `key` in hitForMissKey() for requests with credentials (exchange/coalesce/hit-for-miss.ts).
everyStore.test('visitors whose responses are not shared do not queue, although each has a variant of its own', fresh, async (test, fleet) => {
  origin.holds = false
  origin.fields = { 'cache-control': 'max-age=60', 'vary': 'Cookie' }
  await fleet.a.get('/a')
  test.equal(told(await fleet.a.get('/a', { Cookie: 'user=1' })), 'undefined cookie')
  origin.holds = true
  const answers = [fleet.a.get('/a', { Cookie: 'user=2' }), fleet.a.get('/a', { Cookie: 'user=2' })]
  await eventually(() => origin.held.length === 2)
  origin.release()
  await Promise.all(answers)
  test.equal(fleet.asked(), 4)
})
