// The memory of the whole process when it holds 100,000 entries of 1 KB, each fetched through it like any other.
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import type { Contestant } from './contestants.ts'

const entries = 100_000
const connections = 20

/** Resident memory of a process in MiB, now and at its highest, as Linux reports it; undefined elsewhere. */
function residentMiB(pid: number): { readonly now: number; readonly highest: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const [now, highest] = ['VmRSS', 'VmHWM'].map(name => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024)
    return { now: now as number, highest: highest as number }
  } catch {
    return undefined
  }
}

function fetchOne(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, response => {
      if (response.statusCode !== 200) reject(new Error(`${url} answers ${response.statusCode}`))
      response.resume().on('end', resolve)
    }).on('error', reject)
  })
}

/** Fills the cache and reports. The proxy must have been started for this alone. */
export async function footprint(springhouse: Contestant & { readonly pid: number }): Promise<string> {
  const empty = residentMiB(springhouse.pid)
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  let next = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    while (next < entries) await fetchOne(`${springhouse.base}/hit/${next++}`, agent)
  }))
  agent.destroy()
  const full = residentMiB(springhouse.pid)
  if (empty === undefined || full === undefined) return '## Memory of the whole process\n\nOnly Linux reports it.\n'
  return [
    '## Memory of the whole process',
    '',
    '| entries of 1 KB | resident, MiB | highest, MiB |',
    '|---:|---:|---:|',
    `| 0 | ${empty.now.toFixed(0)} | ${empty.highest.toFixed(0)} |`,
    `| ${entries} | ${full.now.toFixed(0)} | ${full.highest.toFixed(0)} |`,
    '',
    `target: under 300 MiB: ${full.now < 300 ? 'met' : 'MISSED'}`,
    '',
  ].join('\n')
}
