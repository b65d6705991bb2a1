// The effect of a response to HEAD on the stored responses to GET that could have served it: RFC 9111 §4.3.5.
import { isHeadRelevant, judgeByHead } from '../../policy/head.ts'
import { assessResponse, type ReceivedHead } from '../../policy/storable.ts'
import { matches } from '../../policy/vary.ts'
import { outlasts } from '../../store/order.ts'
import type { PurgeLog } from '../../store/purge/log.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { RoutedRequest } from '../routed-request.ts'
import { freshenFrom304, saysNothingOfOthers } from './freshen.ts'
import { lookup } from '../lookup.ts'

/**
 * Updates or removes every stored response that the request selects, all of them: an older one would come forward if a
 * younger one is removed. Skips responses requested after the HEAD. Never rejects: if the store fails, the next request
 * revalidates.
 */
export async function freshenByHead(store: Store, log: PurgeLog, asked: RoutedRequest, head: ReceivedHead): Promise<void> {
  if (asked.request.method !== 'HEAD' || !isHeadRelevant(head.status)) return
  try {
    for (const entry of await lookup(store, log, asked.key)) {
      if (outlasts(entry.meta, head, head.responseTimeMs) || !matches(entry.meta, asked.requestField)) continue
      await updateOne(store, asked, entry, head)
    }
  } catch { /* see above */ }
}

async function updateOne(store: Store, asked: RoutedRequest, { meta }: Stored, head: ReceivedHead): Promise<void> {
  switch (judgeByHead(meta, head.status, head.fields)) {
    case 'inconclusive':
      return
    case 'confirms': {
      // As a 304 would, and with the same rule about which responses may change those of other clients.
      const confirmation = freshenFrom304(asked, meta, head, 'GET')
      if (confirmation?.keep === 'merged') await store.refresh(asked.key, meta, confirmation.meta)
      else if (confirmation?.keep === 'nothing') await store.remove(asked.key, meta.variant)
      return
    }
    case 'contradicts': {
      // A response to one client's credentials contradicts nothing that other clients are served.
      const verdict = assessResponse(asked.request, asked.requestField, head, asked.route.rules, undefined, 'GET')
      if (verdict.store || !saysNothingOfOthers(verdict.reason)) await store.remove(asked.key, meta.variant)
    }
  }
}
