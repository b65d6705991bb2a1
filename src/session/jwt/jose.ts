// The library that verifies signatures, loaded if a provider is configured: it costs a start 30 ms.
import type * as jose from 'jose'

export type Jose = typeof jose

export function loadJose(): Promise<Jose> {
  return import('jose')
}
