// Reads the key set of a provider from its place: an https URL, or a file. Bounded in time and bytes, and without redirects.
import { readFile, stat } from 'node:fs/promises'
import { request, Agent } from 'undici'
import { mostKeySetBytes } from './public-keys.ts'

/** Why a key set could not be read. */
export const keyFaults = ['unreachable', 'timeout', 'status', 'too-large', 'invalid'] as const
export type KeyFault = typeof keyFaults[number]

export class KeySetError extends Error {
  override readonly name = 'KeySetError'
  readonly fault: KeyFault

  constructor(fault: KeyFault, message: string) {
    super(message)
    this.fault = fault
  }
}

/** A place that key sets are read from. */
export interface KeyPlace {
  /** The text of the key set. @throws KeySetError (rejects) */
  read(): Promise<string>
  close(): void
}

/** @param patienceMs how long a response of a URL may take as a whole */
export function keyPlace(place: string, patienceMs = 5000): KeyPlace {
  return place.includes('://') ? urlPlace(place, patienceMs) : { read: () => readKeyFile(place), close: () => undefined }
}

async function readKeyFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > mostKeySetBytes) throw new KeySetError('too-large', tooLarge)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof KeySetError) throw error
    throw new KeySetError('unreachable', `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`)
  }
}

function urlPlace(url: string, patienceMs: number): KeyPlace {
  // A connection of its own: fetches are minutes apart, and one is enough.
  const dispatcher = new Agent({ connections: 1, pipelining: 0, connect: { timeout: patienceMs } })
  return { read: () => fetchKeySet(url, dispatcher, patienceMs), close: () => void dispatcher.destroy() }
}

async function fetchKeySet(url: string, dispatcher: Agent, patienceMs: number): Promise<string> {
  const signal = AbortSignal.timeout(patienceMs)
  try {
    // undici's request follows no redirect: the keys come from the configured host or not at all.
    const { statusCode, body } = await request(url, { dispatcher, signal, headers: { accept: 'application/jwk-set+json, application/json', 'user-agent': 'springhouse' } })
    body.on('error', () => undefined)
    if (statusCode !== 200) {
      body.destroy()
      throw new KeySetError('status', statusCode >= 300 && statusCode < 400 ? `the response is a redirect (${statusCode}), which is not followed` : `the response is ${statusCode}`)
    }
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > mostKeySetBytes) {
        body.destroy()
        throw new KeySetError('too-large', tooLarge)
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    if (error instanceof KeySetError) throw error
    if (signal.aborted) throw new KeySetError('timeout', `no whole response within ${patienceMs} ms`)
    const { code, message } = error as NodeJS.ErrnoException
    throw new KeySetError('unreachable', code ?? message)
  }
}

const tooLarge = `more than ${mostKeySetBytes} bytes`
