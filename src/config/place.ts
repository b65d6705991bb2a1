// Locates settings in the text of a configuration file.
import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type Pair } from 'yaml'
import type { Keys } from './problem.ts'

/** Returns `f.yaml, line 3, column 12` for an index in the text. */
export function placeAt(file: string, text: string, index: number): string {
  const before = text.slice(0, index).split('\n')
  return `${file}, line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`
}

/** Finds settings in a parsed file. */
export class Places {
  readonly #file: string
  readonly #text: string
  readonly #document: Document

  /** `document` was parsed from a text with the same positions as `text`. */
  constructor(file: string, text: string, document: Document) {
    this.#file = file
    this.#text = text
    this.#document = document
  }

  /** Returns the place of the name of a setting. */
  ofName(keys: Keys): string {
    const pair = this.#pair(this.#node(keys.slice(0, -1)), String(keys.at(-1)))
    const range = rangeOf(pair?.key)
    return range === undefined ? this.#file : placeAt(this.#file, this.#text, range[0])
  }

  /** Returns the place of the `$` at `index` in the value of a setting. YAML may have changed everything else in the value. */
  ofDollar(keys: Keys, value: string, index: number): string {
    const node = this.#node(keys)
    const range = rangeOf(node)
    if (range === undefined) return this.#file
    const [start, end] = range
    const nth = value.slice(0, index).split('$').length
    let at = start - 1
    for (let count = 0; count < nth && at !== -1; count++) at = this.#text.indexOf('$', at + 1)
    return placeAt(this.#file, this.#text, at === -1 || at >= end ? start : at)
  }

  #node(keys: Keys): Node | undefined {
    let node = this.#resolved(this.#document.contents)
    for (const key of keys) {
      if (isSeq(node)) node = this.#resolved(node.items[Number(key)])
      else node = this.#resolved(this.#pair(node, String(key))?.value)
    }
    return node
  }

  #resolved(node: unknown): Node | undefined {
    if (isAlias(node)) return node.resolve(this.#document)
    return isScalar(node) || isMap(node) || isSeq(node) ? node : undefined
  }

  /** Finds the pair with a name in a map, else in a map that is merged into it (`<<: *defaults`). */
  #pair(map: Node | undefined, name: string): Pair | undefined {
    if (!isMap(map)) return undefined
    const own = map.items.find(({ key }) => nameOf(key) === name)
    if (own !== undefined) return own
    for (const { key, value } of map.items) {
      if (nameOf(key) !== '<<') continue
      const merged = this.#resolved(value)
      const found = (isSeq(merged) ? merged.items : [merged]).map((each) => this.#pair(this.#resolved(each), name)).find((pair) => pair !== undefined)
      if (found !== undefined) return found
    }
    return undefined
  }
}

function rangeOf(node: unknown): readonly [number, number, ...unknown[]] | undefined {
  return isScalar(node) ? node.range ?? undefined : undefined
}

function nameOf(key: unknown): string {
  if (!isScalar(key)) return ''
  return typeof key.value === 'symbol' ? key.value.description ?? '' : String(key.value) // a merge key is a symbol
}
