// The links of a Link field: separated at commas, and of a form that Node can send.
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

t.test('links are split and checked', async (t) => {
  for (const [value, links] of table) t.same(sendableLinks(value), links, value)
})

t.test('Node sends every accepted link', async (t) => {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  response.assignSocket(new Socket().on('error', () => undefined))
  for (const [, links] of table) t.doesNotThrow(() => response.writeEarlyHints({ link: [...links] }), links.join())
})

// Node's own expression for a link takes quadratic time for `=`s followed by a mistake.
t.test('a link that would take Node long is not passed to it', async (t) => {
  for (const run of ['=', 'a=', 'a=a', '=a=', '; ', ';a', ' ', '"', '<', '<a>', '<a>;', '<a>"']) {
    for (const link of sendableLinks(`<a>;a${run.repeat(1_000)}" x, <b>`)) t.ok(/^<[^>]*>(?:[ \t]*;[ \t]*[^;"=\s]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/.test(link), link.slice(0, 40))
  }
})
