// A chart over time: a figure with its name, and the same numbers as a table.
import type { VNode } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { html } from './html.ts'
import type { Series } from './shapes.ts'
import { clockTime, unknown } from './words.ts'

export interface Line {
  readonly name: string
  readonly values: Series
  /** The name of the colour in the style sheet, without `--`. */
  readonly colour: string
  /** Lines differ by dashes too, so that colour is never alone. */
  readonly dash?: readonly number[]
}

interface ChartProperties {
  readonly title: string
  readonly fromMs: number
  readonly stepMs: number
  readonly lines: readonly Line[]
  /** True: each line stands on the one before it, and the areas are filled. The page names their colours elsewhere. */
  readonly stacked?: boolean
  readonly logarithmic?: boolean
  readonly format: (value: number | null | undefined) => string
}

const height = 220

/** Sums each line with those below it. */
function stack(lines: readonly Line[]): (number | null)[][] {
  let below: readonly (number | null)[] = []
  return lines.map(({ values }) => {
    const sums = values.map((value, i) => (value === null ? null : value + (below[i] ?? 0)))
    below = sums
    return sums
  })
}

function draw(host: HTMLElement, { fromMs, stepMs, lines, stacked = false, logarithmic = false, format }: ChartProperties): uPlot {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  const times = (lines[0]?.values ?? []).map((_, i) => (fromMs + i * stepMs) / 1000)
  const values = stacked ? stack(lines) : lines.map((line) => line.values.map((value) => (logarithmic && value !== null && value <= 0 ? null : value)))
  const axis = { stroke: colour('ink-quiet'), grid: { stroke: colour('rule'), width: 1 }, ticks: { stroke: colour('rule'), width: 1 }, font: '12px system-ui, sans-serif' }
  const order = lines.map((_, i) => i)
  // The highest sum is drawn first, so that the areas below it stay visible.
  if (stacked) order.reverse()
  return new uPlot(
    {
      width: host.clientWidth,
      height,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: true }, y: logarithmic ? { distr: 3 } : { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, space: 80, values: (_plot, ticks) => ticks.map((tick) => clockTime(tick * 1000).slice(0, times.length * stepMs < 600_000 ? 8 : 5)) }, { ...axis, size: 70,
        values: (_plot, ticks) => ticks.map((tick) => (tick === null ? '' : format(tick))) }],
      series: [{}, ...order.map((i) => {
        const line = lines[i] as Line
        return {
          label: line.name,
          stroke: stacked ? colour('ground') : colour(line.colour),
          width: stacked ? 1 : 2,
          ...(stacked && { fill: colour(line.colour) }),
          ...(line.dash !== undefined && { dash: [...line.dash] }),
          points: { show: false },
        }
      })],
    },
    [times, ...order.map((i) => values[i] as (number | null)[])],
    host,
  )
}

/** At most this many rows of the table; a longer series shows its newest. */
const mostRows = 30

export function Chart(properties: ChartProperties): VNode {
  const { title, fromMs, stepMs, lines, format } = properties
  const host = useRef<HTMLDivElement>(null)
  const [open, setOpen] = useState(false)
  useEffect(() => {
    let plot: uPlot | undefined
    const again = (): void => {
      plot?.destroy()
      plot = host.current === null ? undefined : draw(host.current, properties)
    }
    again()
    addEventListener('resize', again)
    addEventListener('themechange', again)
    const system = matchMedia('(prefers-color-scheme: dark)')
    system.addEventListener('change', again)
    return () => {
      plot?.destroy()
      removeEventListener('resize', again)
      removeEventListener('themechange', again)
      system.removeEventListener('change', again)
    }
  }, [fromMs, stepMs, lines])
  const length = lines[0]?.values.length ?? 0
  const rows = Array.from({ length: Math.min(length, mostRows) }, (_, i) => length - 1 - i)
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <div class="plot" ref=${host} aria-hidden="true"></div>
    ${
    properties.stacked !== true && html`<ul class="key" aria-hidden="true">${
      lines.map(({ name, colour, dash }) => html`<li><span class="swatch ${dash === undefined ? '' : 'dashed'} of-${colour}"></span>${name}</li>`)
    }</ul>`
  }
    <details open=${open} onToggle=${(event: Event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>as a table</summary>
      ${
    open && html`<div class="scroll" tabindex="0" role="region" aria-label=${`${title}, as a table`}><table class="plain">
        <caption>${title}${length > mostRows ? `: the newest ${mostRows} steps` : ''}</caption>
        <thead><tr><th scope="col">from</th>${lines.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
        <tbody>${
      rows.map((i) =>
        html`<tr><th scope="row">${clockTime(fromMs + i * stepMs)}</th>${
          lines.map(({ values }) => html`<td class="number">${values[i] === null ? unknown : format(values[i])}</td>`)
        }</tr>`
      )
    }</tbody>
      </table></div>`
  }
    </details>
  </figure>`
}
