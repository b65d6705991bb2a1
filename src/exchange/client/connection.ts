// The client's side of an exchange in flight: whether anybody is still there, and how it is broken off.
import type { ClientResponse } from './response.ts'

export function hasLeft(response: ClientResponse): boolean {
  return response.hasLeft
}

export function onLeaving(response: ClientResponse, listener: () => void): void {
  response.onClose(listener)
}

export function offLeaving(response: ClientResponse, listener: () => void): void {
  response.offClose(listener)
}

export function cut(response: ClientResponse): void {
  response.cut()
}
