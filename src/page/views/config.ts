// Config: the effective configuration of this replica, with its secrets masked, and the replicas that differ.
import type { VNode } from 'preact'
import { get } from '../api.ts'
import { html } from '../html.ts'
import { Alert, Copy, Waiting } from '../parts.ts'
import { usePoll } from '../polling.ts'
import { visible } from '../words.ts'
import type { Health } from './needs.ts'

/** Renders a value: objects and lists fold, and everything else is text. */
function Value({ name, value, depth }: { readonly name: string; readonly value: unknown; readonly depth: number }): VNode {
  if (typeof value !== 'object' || value === null)
    return html`<div class="leaf"><span class="name">${visible(name)}</span> <code>${visible(JSON.stringify(value) ?? 'undefined')}</code></div>`
  const members = Object.entries(value)
  if (members.length === 0) return html`<div class="leaf"><span class="name">${visible(name)}</span> <code>${Array.isArray(value) ? '[]' : '{}'}</code></div>`
  return html`<details class="node" open=${depth < 2}><summary>${visible(name)}</summary>${
    members.map(([key, member]) => html`<${Value} name=${key} value=${member} depth=${depth + 1} />`)
  }</details>`
}

export function Config({ health }: { readonly health: Health }): VNode {
  const { data, problem } = usePoll('config', 30_000, () => get<Record<string, unknown>>('/v1/config'))
  const differing = health.stats?.configuration?.differing ?? []
  return html`
    <h1>Configuration</h1>
    <p class="quiet">As this replica runs it, defaults included. Secrets are masked. The page changes nothing here.</p>
    ${
    differing.length > 0 && html`<div class="alert" role="alert"><p>These replicas run another configuration:</p><ul>${
      differing.map((each) => html`<li><code>${visible(typeof each === 'string' ? each : JSON.stringify(each))}</code></li>`)
    }</ul></div>`
  }
    <${Alert} problem=${problem} />
    ${
    data === undefined
      ? problem === undefined && html`<${Waiting} of="the configuration" />`
      : html`<p><${Copy} text=${JSON.stringify(data, undefined, 2)} /> <span class="quiet">as JSON</span></p><div class="tree">${
        Object.entries(data).map(([name, value]) => html`<${Value} name=${name} value=${value} depth=${1} />`)
      }</div>`
  }`
}
