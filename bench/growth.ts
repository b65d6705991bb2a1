// The memory that requests leave behind: before and after a million POSTs and a million GETs that miss.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { adminToken, type Contestant } from './contestants.ts'
import { fixedLoad } from './fixed.ts'

interface Sample {
  readonly residentMiB: number
  readonly heapMiB: number
  readonly externalMiB: number
}

/** How much more than before each kind of memory may be, in MiB: the noise of garbage that is not collected yet. */
const mostGrowthMiB = 24

/** Sends `count` requests of each kind, after a warm-up. */
export async function growth(springhouse: Contestant & { readonly pid: number; readonly admin: string }, count: number): Promise<string> {
  const kinds = [
    { name: 'POSTs of 200 bytes', method: 'POST', bodyBytes: 200, path: '/post', unique: false },
    { name: 'GETs that miss, each a URL of its own', method: 'GET', bodyBytes: 0, path: '/miss', unique: true },
  ]
  const lines: string[] = []
  for (const { name, path, ...kind } of kinds) {
    const send = (requests: number): Promise<unknown> => fixedLoad(springhouse.pid, { ...kind, connections: 50, count: requests, url: springhouse.base + path })
    await send(Math.ceil(count / 10))
    const before = await sample(springhouse)
    await send(count)
    const after = await sample(springhouse)
    const grown = Math.max(after.residentMiB - before.residentMiB, after.heapMiB - before.heapMiB, after.externalMiB - before.externalMiB)
    const shown = (of: keyof Sample): string => `${before[of].toFixed(0)} → ${after[of].toFixed(0)}`
    lines.push(
      `| ${count.toLocaleString('en-US')} ${name} | ${shown('residentMiB')} | ${shown('heapMiB')} | ${shown('externalMiB')} | ${grown <= mostGrowthMiB ? 'flat' : '**grown**'} |`,
    )
  }
  return ['## What requests leave behind', '', '| | resident, MiB | live heap, MiB | external, MiB | |', '|---|---:|---:|---:|---|', ...lines, ''].join('\n')
}

/** Samples a process that has been idle for a moment. The live heap is the least of several samples: what a collection leaves. */
async function sample({ pid, admin }: { readonly pid: number; readonly admin: string }): Promise<Sample> {
  const heaps: number[] = []
  let externalMiB = 0
  for (let i = 0; i < 10; i++) {
    await delay(300)
    const metrics = await (await fetch(`${admin}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } })).text()
    heaps.push(gauge(metrics, 'nodejs_heap_size_used_bytes'))
    externalMiB = gauge(metrics, 'nodejs_external_memory_bytes')
  }
  const residentMiB = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024
  return { residentMiB, heapMiB: Math.min(...heaps), externalMiB }
}

function gauge(metrics: string, name: string): number {
  const found = new RegExp(`^${name} ([\\d.e+]+)$`, 'm').exec(metrics)?.[1]
  if (found === undefined) throw new Error(`/metrics has no ${name}`)
  return Number(found) / 1_048_576
}
