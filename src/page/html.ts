// The page's markup: tagged templates (htm) that make Preact's elements, so that the browser runs what the compiler writes.
import htm from 'htm'
import { h, type VNode } from 'preact'

type Markup = (strings: TemplateStringsArray, ...values: unknown[]) => VNode

// The package's types are those of its CommonJS form; browsers get its ES module, whose default export is the function.
const { bind } = htm as unknown as { readonly bind: (this: unknown, make: typeof h) => Markup }

/** Makes an element of a template. Every value is text or an element: no value is ever read as markup. */
export const html = bind.call(htm, h)
