// The links of a Link field: parted where a comma parts them, and of a form that Node sends.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import { sendableLinks } from '../../src/http/links.ts'

const table: readonly (readonly [value: string, links: readonly string[]])[] = [
  ['</a.css>; rel=preload', ['</a.css>; rel=preload']],
  ['</a>;rel="preload";as=style, </b>; rel=preload ,</c>', ['</a>;rel="preload";as=style', '</b>; rel=preload', '</c>']],
  ['</a,b>; rel=x, </c>; title="d,e"', ['</a,b>; rel=x', '</c>; title="d,e"']],
  ['</a>; rel="x y", </b>', ['</b>']],
  ['</a>; rel="x, </b>', ['</b>']],
  ['</a> x, </b>', ['</b>']],
  ['</a>;;rel=x, </b>', ['</b>']],
  ['</a>; =x, </b>', ['</b>']],
  ['</a>; flag; rel=', ['</a>; flag; rel=']],
  ['<a', []],
  ['a>, b', []],
  ['', []],
  ['<<a>', ['<<a>']],
]

t.test('links are parted and judged', async (t) => {
  for (const [value, links] of table) t.same(sendableLinks(value), links, value)
})

t.test('Node sends whatever is taken', async (t) => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  response.assignSocket(new Socket().on('error', () => undefined))
  for (const [, links] of table) t.doesNotThrow(() => response.writeEarlyHints({ link: [...links] }), links.join())
})

// Node's own expression for a link takes time that grows with the square of `=`s behind which something is wrong.
t.test('a link that Node would look at for long is not handed to it', async (t) => {
  for (const run of ['=', 'a=', 'a=a', '=a=', '; ', ';a', ' ', '"', '<', '<a>', '<a>;', '<a>"']) {
    for (const link of sendableLinks(`<a>;a${run.repeat(1_000)}" x, <b>`)) t.ok(/^<[^>]*>(?:[ \t]*;[ \t]*[^;"=\s]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/.test(link), link.slice(0, 40))
  }
})
