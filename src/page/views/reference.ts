// API: the endpoints of this listener, from the OpenAPI description that it serves.
import type { VNode } from 'preact'
import { get } from '../api.ts'
import { html } from '../html.ts'
import { Alert, Waiting } from '../parts.ts'
import { usePoll } from '../polling.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly format?: string
  readonly description?: string
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

interface Operation {
  readonly summary?: string
  readonly 'x-scope'?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>
}

interface Description {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> }
}

const bound = (least: number | undefined, most: number | undefined, of: string): string[] => least === undefined && most === undefined ? [] : [`${least ?? ''}…${most ?? ''}${of}`]

/** Describes briefly the values that a schema accepts. */
function kindOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.length > 12 ? 'a text from a closed list' : schema.enum.map((each) => JSON.stringify(each)).join(' | ')
  if (schema.anyOf !== undefined && schema.type === undefined) return schema.anyOf.map(kindOf).join(' | ')
  const more = [
    ...(schema.format === undefined ? [] : [schema.format]),
    ...bound(schema.minimum, schema.maximum, ''),
    ...bound(schema.minLength, schema.maxLength, ' characters'),
    ...(schema.maxItems === undefined ? [] : [`at most ${schema.maxItems}`]),
    ...(schema.default === undefined ? [] : [`default ${JSON.stringify(schema.default)}`]),
  ]
  const kind = schema.type === 'array' && schema.items !== undefined ? `array of ${kindOf(schema.items)}` : schema.type ?? 'anything'
  return more.length === 0 ? kind : `${kind} (${more.join(', ')})`
}

/** The members of a schema, folded where they have members of their own. */
function Members({ schema }: { readonly schema: Schema }): VNode {
  const { properties = {}, required = [] } = schema
  return html`<ul class="members">${
    Object.entries(properties).map(([name, member]) => {
      const inner = member.items?.properties === undefined ? member : member.items
      const text = html`<code>${name}</code>${required.includes(name) ? '' : '?'} <span class="quiet">${kindOf(member)}</span>${
        member.description !== undefined && ` ${member.description}`
      }`
      return inner.properties === undefined ? html`<li>${text}</li>` : html`<li><details><summary>${text}</summary><${Members} schema=${inner} /></details></li>`
    })
  }</ul>`
}

function Body({ content, title }: { readonly content: Content | undefined; readonly title: string }): VNode {
  const [type, { schema } = {}] = Object.entries(content ?? {})[0] ?? []
  return html`<div><p><b>${title}</b>${type !== undefined && html` <code>${type}</code>`}${
    schema?.properties === undefined && schema !== undefined && html` <span class="quiet">${kindOf(schema)}</span>`
  }</p>
    ${schema?.properties !== undefined && html`<${Members} schema=${schema} />`}</div>`
}

function Endpoint({ method, path, operation }: { readonly method: string; readonly path: string; readonly operation: Operation }): VNode {
  const { summary, parameters = [], requestBody, responses, 'x-scope': scope } = operation
  return html`<details class="endpoint"><summary><b class="method">${method.toUpperCase()}</b> <code>${path}</code> <span class="quiet">${summary}</span></summary>
    <p>${scope === undefined ? 'Needs no token.' : `Needs the scope "${scope}".`}</p>
    ${
    parameters.length > 0 && html`<p><b>Parameters</b></p><ul class="members">${
      parameters.map((each) =>
        html`<li>
      <code>${each.name}</code>${each.required === true ? '' : '?'} <span class="quiet">in ${each.in}, ${kindOf(each.schema ?? {})}</span> ${each.description}
    </li>`
      )
    }</ul>`
  }
    ${requestBody !== undefined && html`<${Body} title="Request" content=${requestBody.content} />`}
    ${Object.entries(responses).map(([status, { description, content }]) => html`<${Body} title=${`${status} ${description}`} content=${content} />`)}
  </details>`
}

export function Reference(): VNode {
  const { data, problem } = usePoll('openapi', 600_000, () => get<Description>('/openapi.json'))
  const endpoints = Object.entries(data?.paths ?? {}).flatMap(([path, operations]) => Object.entries(operations).map(([method, operation]) => ({ method, path, operation })))
  return html`
    <h1>API</h1>
    <p class="quiet">The endpoints of this listener. The same as OpenAPI ${
    data?.openapi ?? '3.1'
  }: <a href="/openapi.json">/openapi.json</a>. A question mark follows what may be left out.</p>
    <${Alert} problem=${problem} />
    ${data === undefined && problem === undefined && html`<${Waiting} of="the description" />`}
    ${endpoints.map((each) => html`<${Endpoint} key=${`${each.method} ${each.path}`} ...${each} />`)}`
}
