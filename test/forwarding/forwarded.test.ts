// RFC 7239: the part of Forwarded that is an address, and nothing else.
import t from 'tap'
import { isAddressList, readForwarded, tellsAddressAnd } from '../../src/forwarding/forwarded.ts'

/** The texts of the elements, or `undefined`. */
const texts = (value: string): readonly object[] | undefined => readForwarded(value)?.map(({ text, bare, rest }) => ({ text, bare, rest }))

/** The elements without their addresses, or `undefined`. */
const bare = (value: string): readonly string[] | undefined => readForwarded(value)?.map(element => element.bare)

// The guard is `isNode`: without it, every value of `for` is removed.
t.test('only an address, `unknown` or an obfuscated identifier is removed from for and by', async t => {
  for (const node of [
    '1.2.3.4',
    '1.2.3.4:80',
    '"1.2.3.4:65535"',
    '"[::1]"',
    '"[2001:db8::1]:443"',
    '[::1]',
    '[::1]:80',
    '2001:db8::1',
    '"::ffff:1.2.3.4"',
    'unknown',
    'Unknown',
    '"unknown:80"',
    '_x',
    '_a.b-c_d',
    '"_x:_y"',
    '"1.2.3.4:_p"',
  ]) {
    for (const name of ['for', 'FOR', 'by', 'By']) t.strictSame(bare(`${name}=${node};host=h`), [`${name}=;host=h`], `${name}=${node}`)
  }
  for (const text of [
    'evil.example',
    '"1.2.3.4;host=evil"',
    '"1.2.3.4 host=evil"',
    '"1.2.3.4,host=evil"',
    '"1.2.3.4\\"',
    '"\\1.2.3.4"',
    '1.2.3.4/host',
    '1.2.3.4=host',
    '256.1.1.1',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:123456',
    '"[::1"',
    '"::1]"',
    '[::1]x',
    '"[fe80::1%25host]"',
    '"fe80::1%eth0"',
    '"fe80::1%host.evil"',
    '"[fe80::1%eth0]:1"',
    '_',
    '"_x=y"',
    '"_x;host=y"',
    '"_x\xe9"',
    '1.2.3.4\xa0',
    '"1.2.3.4\xa0"',
    '" 1.2.3.4"',
    '"1.2.3.4 "',
    '""',
    'unknownx',
    '"unknown host=x"',
    '"1.2.3.4:80:90"',
    "'1.2.3.4'",
  ]) {
    const element = texts(`for=${text}`)
    if (element !== undefined) t.strictSame(element, [{ text: `for=${text}`, bare: `for=${text}`, rest: `for=${text}` }], text)
  }
  for (const name of ['host', 'proto', 'fo', 'form', 'x-for', 'for*', 'secret']) t.strictSame(bare(`${name}=1.2.3.4`), [`${name}=1.2.3.4`], name)
})

t.test('elements, pairs and the space around them', async t => {
  t.strictSame(texts('for=1.1.1.1'), [{ text: 'for=1.1.1.1', bare: 'for=', rest: '' }])
  t.strictSame(texts(' for=1.1.1.1 ;\thost="a,b;c" ; by=_x, For="[::1]"\t'), [
    { text: 'for=1.1.1.1 ;\thost="a,b;c" ; by=_x', bare: 'for= ;\thost="a,b;c" ; by=', rest: 'host="a,b;c"' },
    { text: 'For="[::1]"', bare: 'For=', rest: '' },
  ])
  t.strictSame(readForwarded('for=1.1.1.1;for=2.2.2.2;for=x')?.map(({ rest }) => rest), ['for=x'], 'a parameter said again')
  t.strictSame(bare('host="a\\"b";for=1.1.1.1'), ['host="a\\"b";for='], 'an escaped quote does not end a value')
})

t.test('a field outside the grammar is not parsed at all', async t => {
  for (const value of [
    '',
    ' ',
    ',',
    ';',
    'for',
    'for=',
    '=1.2.3.4',
    'for=1.1.1.1 host=evil',
    'for=1.1.1.1\thost=evil',
    'for=1.1.1.1;',
    ';for=1.1.1.1',
    'for=1.1.1.1;;host=x',
    'for=1.1.1.1,',
    ',for=1.1.1.1',
    'for=1.1.1.1,,for=2.2.2.2',
    'for =1.1.1.1',
    'for= 1.1.1.1',
    'for="1.1.1.1',
    'for="1.1.1.1\\"',
    'for="1.1.1.1"x',
    'for=1.1.1.1"host=x"',
    'for="1.1.1.1"host=x',
    'f(r=1.1.1.1',
    'for=1.1.1.1;host',
    'for=1.1.1.1\xa0;host x=y',
    '"for"=1.1.1.1',
    'for=1.1.1.1|host = x',
  ]) t.equal(readForwarded(value), undefined, JSON.stringify(value))
})

t.test('a list of addresses holds addresses, with ports or without, and nothing else', async t => {
  for (const value of ['1.2.3.4', '1.2.3.4, ::1', '1.2.3.4:80,[::1]:443 ,\t[::1]', 'unknown, 1.1.1.1', '2001:db8::1', '::ffff:1.2.3.4'])
    t.ok(isAddressList(value), JSON.stringify(value))
  for (const value of [
    '',
    ' ',
    ',',
    '1.2.3.4,',
    ',1.2.3.4',
    '1.2.3.4,,1.2.3.4',
    '1.2.3.4 host=evil',
    '1.2.3.4;host=evil',
    '1.2.3.4 1.2.3.4',
    'evil.example',
    '1.2.3.4, evil.example',
    '_x',
    '"1.2.3.4"',
    '1.2.3.4\xa0',
    '\xa01.2.3.4',
    'fe80::1%evil',
    '1.2.3.4:port',
    '1.2.3.999',
    '0x7f.1',
    '127.1',
    '1.2.3.4/8',
    '[1.2.3.4]',
    'for=1.2.3.4',
    '<1.2.3.4>',
  ]) t.notOk(isAddressList(value), JSON.stringify(value))
})

t.test('an element that this proxy added is recognised, and no other element is taken for it', async t => {
  const own = 'host="h";proto=http'
  for (const node of ['10.0.0.2', '"[::1]"', 'unknown', '_x', '10.0.0.2:80']) t.ok(tellsAddressAnd(own, `for=${node};${own}`), node)
  for (const value of [
    own,
    `for=;${own}`,
    `for=evil;${own}`,
    `for="10.0.0.2;${own}`,
    `for=10.0.0.2";${own}`,
    `for="10.0.0.2x;${own}`,
    `for=";${own}`,
    `for=10.0.0.2;x=y;${own}`,
    `for=10.0.0.2;;${own}`,
    `for=10.0.0.2,${own}`,
    `for=10.0.0.2 ;${own}`,
    `for=1.1.1.1, for=10.0.0.2;${own}`,
    `for="1.1.1.1, for=10.0.0.2";${own}`,
    `For=10.0.0.2;${own}`,
    `for=10.0.0.2;${own};x=y`,
    `for=10.0.0.2${own}`,
    `for=10.0.0.2;x${own}`,
  ]) t.notOk(tellsAddressAnd(own, value), value)
})
