// Requests as attackers write them, and the permitted outcomes of each.

/**
 * An expected outcome of the bytes. `refused`: one response of 4xx or 5xx, the connection closed, nothing at the origin. A
 * list: the requests that the origin is sent, `METHOD target body`, and nothing else. `either`: refused, or that list.
 * `unfinished`: the proxy waits for the rest, and nothing whole is at the origin.
 */
export type Outcome = 'refused' | 'unfinished' | readonly string[] | { readonly either: readonly string[] }

export type Case = readonly [name: string, bytes: string, outcome: Outcome]

/** The client's next request on the same connection: it must be itself, or never happen. */
export const next = 'GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
const nextSeen = 'GET /next '
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n'

const post = (fields: string, body = '', line = 'POST /a HTTP/1.1'): string => `${line}\r\nHost: h\r\n${fields}\r\n\r\n${body}${next}`
const get = (fields: string, line = 'GET /a HTTP/1.1'): string => `${line}\r\nHost: h\r\n${fields}\r\n\r\n${next}`
const chunked = (body: string): string => post('Transfer-Encoding: chunked', body)
const posted = (body: string): string[] => [`POST /a ${body}`, nextSeen]
const got: string[] = ['GET /a ', nextSeen]

const te = 'Transfer-Encoding: chunked'
const zero = '0\r\n\r\n'

/** Two framings, or one that can be read in two ways: RFC 9112 §6. */
export const framing: readonly Case[] = [
  ['CL.TE', post(`Content-Length: 6\r\n${te}`, `${zero}G`), 'refused'],
  ['TE.CL', post(`${te}\r\nContent-Length: 3`, `1\r\nG\r\n${zero}`), 'refused'],
  ['CL.TE with a smuggled request', post(`Content-Length: ${zero.length + smuggled.length}\r\n${te}`, zero + smuggled), 'refused'],
  ['CL: 0 beside TE', post(`Content-Length: 0\r\n${te}`, zero), 'refused'],
  ['TE beside CL on a GET', get(`Content-Length: 5\r\n${te}`), 'refused'],
  ['TE beside CL, with fields between', post(`Content-Length: 5\r\nX-A: 1\r\nX-B: 2\r\n${te}`, zero), 'refused'],
  ['TE in capitals beside CL', post('CONTENT-LENGTH: 5\r\nTRANSFER-ENCODING: CHUNKED', zero), 'refused'],
  ['TE.0: chunked, and nothing comes', post(te, smuggled), 'refused'],
  ['0.CL: a length that is empty', post('Content-Length: ', smuggled), 'refused'],
  ['CL on a GET whose body is a request', `GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${next}`, [`GET /a ${smuggled}`, nextSeen]],
  ['CL on a HEAD whose body is a request', `HEAD /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${next}`, [`HEAD /a ${smuggled}`, nextSeen]],
  ['CL on a DELETE whose body is a request', `DELETE /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${next}`, [`DELETE /a ${smuggled}`, nextSeen]],
  ['CL on an OPTIONS whose body is a request', `OPTIONS /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${next}`, [`OPTIONS /a ${smuggled}`, nextSeen]],
  ['a chunked GET', get(te).replace(next, `3\r\nabc\r\n${zero}${next}`), ['GET /a abc', nextSeen]],
  ['a length of 0', post('Content-Length: 0'), posted('')],
  ['a length', post('Content-Length: 3', 'abc'), posted('abc')],
  ['no length at all', post('X-A: 1'), posted('')],
  ['two equal lengths', post('Content-Length: 3\r\nContent-Length: 3', 'abc'), { either: posted('abc') }],
  ['two unequal lengths', post('Content-Length: 3\r\nContent-Length: 4', 'abcd'), 'refused'],
  ['two lengths, one of them 0', post('Content-Length: 0\r\nContent-Length: 3', 'abc'), 'refused'],
  ['two unequal lengths, far apart', post('Content-Length: 3\r\nX: 1\r\nY: 2\r\ncontent-length: 4', 'abcd'), 'refused'],
  ...['3, 3', '3,3', '3, 4', '3 3', '+3', '-3', '-0', '0x3', '3;', '3.0', '3e0', 'abc', '\v3', '3\v', '\f3', '3\f', '"3"', '3\\', '٣', "3'", '3_0', '1_000', '0b11', '3\u00a0', '\u00a03', '\u00853', '3 , ', ', 3', ',3', '3,', '--3', '+0', '0x0']
    .map((length): Case => [`Content-Length: ${JSON.stringify(length)}`, post(`Content-Length: ${length}`, 'abc'), 'refused']),
  ...['18446744073709551616', '18446744073709551619', '18446744073709551615', '9223372036854775808', '9223372036854775811', '4294967296000000000000', '99999999999999999999999999', '1'.repeat(300), '9007199254740993']
    .map((length): Case => [`a length of ${length.slice(0, 30)}`, post(`Content-Length: ${length}`, 'abc'), { either: [] }]),
  ...['03', '003', '0000000000000000000000000000003', '00000000000000000000000000000000000000000000000000000000000000000000000000000000003', '0003']
    .map((length): Case => [`a length of ${length}`, post(`Content-Length: ${length}`, 'abc'), { either: posted('abc') }]),
  ['a length with spaces around it', post('Content-Length:  \t 3 \t ', 'abc'), { either: posted('abc') }],
  ['a length without a space', post('Content-Length:3', 'abc'), { either: posted('abc') }],
  ['a space before the colon of a length', post('Content-Length : 3', 'abc'), 'refused'],
  ['a tab before the colon of a length', post('Content-Length\t: 3', 'abc'), 'refused'],
  ['a space before the name of a length', post('X: 1\r\n Content-Length: 3', 'abc'), 'refused'],
  ['a length named with an underscore', post('Content_Length: 3', ''), { either: posted('') }],
  ['a coding named with an underscore', post('Transfer_Encoding: chunked\r\nContent-Length: 3', 'abc'), { either: posted('abc') }],
  ['a NUL in the name of a length', post('Content\0-Length: 3', 'abc'), 'refused'],
  ['a NUL behind a length', post('Content-Length: 3\0', 'abc'), 'refused'],
  ['a folded length', post('Content-Length:\r\n 3', 'abc'), 'refused'],
  ['a length that goes on in a fold', post('Content-Length: 3\r\n 0', 'abc'), 'refused'],
  ...['xchunked', 'chunke', 'chunkedx', 'chunked, identity', 'chunked, chunked', 'chunked,chunked', 'identity', 'gzip', 'gzip, identity', 'x', '"chunked"', "'chunked'", 'chunked;q=1', 'chunked; a=b', 'chunked ;', 'chunked\v', '\vchunked', 'chunked\f', 'chunked\0', '\0chunked', 'chun\0ked', 'chunked\x01', 'chunked\x7f', 'chunked\x80', '\u00a0chunked', 'chunked\u00a0', 'cow', '', ',', ', chunked, ', 'chunked,', ',chunked', 'chunked, ', '[chunked]', 'chunked=', 'chun ked', 'chunked gzip', 'chunked\tgzip', '(x) chunked', 'chunK ed', 'chu\tnked', 'trailers', 'deflate', 'compress', '\x0bchunked', '\\chunked', 'chunked\\', 'chunked/1', '%63hunked', 'ＣＨＵＮＫＥＤ']
    .map((coding): Case => [`Transfer-Encoding: ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}`, `3\r\nabc\r\n${zero}`), { either: posted('abc') }]),
  ...['xchunked', 'identity', '"chunked"', 'chunked, identity', '\vchunked', ' chunked', 'chunked\0', 'gzip, chunked', 'x', '', ',']
    .map((coding): Case => [`Content-Length beside Transfer-Encoding: ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}\r\nContent-Length: 3`, 'abc'), 'refused']),
  ...['identity, chunked', 'gzip, chunked', 'x, chunked', 'deflate, gzip, chunked', 'gzip,chunked', 'trailers, chunked']
    .map((coding): Case => [`Transfer-Encoding: ${coding}`, post(`Transfer-Encoding: ${coding}`, `3\r\nabc\r\n${zero}`), 'refused']),
  ['the coding in mixed case', post('tRANSFER-eNCODING: ChUnKeD', `3\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['the coding with tabs around it', post('Transfer-Encoding:\t chunked \t', `3\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['the coding without a space', post('Transfer-Encoding:chunked', `3\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['a space before the colon of the coding', post('Transfer-Encoding : chunked', zero), 'refused'],
  ['a tab before the colon of the coding', post('Transfer-Encoding\t: chunked', zero), 'refused'],
  ['a space before the name of the coding', post(' Transfer-Encoding: chunked', zero), 'refused'],
  ['a space before the name of the coding, after a field', post('X: 1\r\n Transfer-Encoding: chunked', zero), 'refused'],
  ['a coding in a fold', post('Transfer-Encoding:\r\n chunked', zero), 'refused'],
  ['a coding that goes on in a fold', post('Transfer-Encoding: chunked\r\n , identity', zero), 'refused'],
  ['a coding behind a bare CR', post('X: 1\rTransfer-Encoding: chunked', zero), 'refused'],
  ['a coding behind a bare LF', post('X: 1\nTransfer-Encoding: chunked', zero), 'refused'],
  ['a coding behind LF CR', post('X: 1\n\rTransfer-Encoding: chunked', zero), 'refused'],
  ['a coding behind CR CR LF', post('X: 1\r\r\nTransfer-Encoding: chunked', zero), 'refused'],
  ['chunked on two lines', post(`${te}\r\n${te}`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['chunked and identity on two lines', post(`${te}\r\nTransfer-Encoding: identity`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['identity and chunked on two lines', post(`Transfer-Encoding: identity\r\n${te}`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['cow and chunked on two lines', post(`Transfer-Encoding: cow\r\n${te}`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['chunked and cow on two lines', post(`${te}\r\nTransfer-Encoding: cow`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['an empty coding and chunked', post(`Transfer-Encoding:\r\n${te}`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['chunked and an empty coding', post(`${te}\r\nTransfer-Encoding:`, `3\r\nabc\r\n${zero}`), 'refused'],
  ['chunked to HTTP/1.0', `POST /a HTTP/1.0\r\nHost: h\r\n${te}\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n${zero}${next}`, 'refused'],
  ['chunked and a length in HTTP/1.0', `POST /a HTTP/1.0\r\nHost: h\r\n${te}\r\nContent-Length: 3\r\n\r\nabc`, 'refused'],
  ['Connection names Content-Length', post('Content-Length: 3\r\nConnection: Content-Length', 'abc'), { either: posted('abc') }],
  ['Connection names Transfer-Encoding', post(`${te}\r\nConnection: Transfer-Encoding`, `3\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['Connection names Host', get('Connection: Host'), { either: got }],
  ['two codings, and something expected', post('Transfer-Encoding: identity, chunked\r\nExpect: x', `3\r\nabc\r\n${zero}`), 'refused'],
  ['a coding beside a length, and something expected', post(`Content-Length: 5\r\n${te}\r\nExpect: x`, zero), 'refused'],
  ['something expected, and nothing wrong', post('Content-Length: 3\r\nExpect: x', 'abc'), posted('abc')],
  ['something expected behind what is refused', `POST /a HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n${next}`, 'refused'],
  ['TE and Trailer on a request', post(`TE: trailers, chunked\r\nTrailer: X-A\r\n${te}`, `3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n`), posted('abc')],
]

const spaces = ' '.repeat(20_000)

/** Chunks: RFC 9112 §7.1. */
export const chunks: readonly Case[] = [
  ['two chunks', chunked(`3\r\nabc\r\n2\r\nde\r\n${zero}`), posted('abcde')],
  ['a size in capitals', chunked(`A\r\n0123456789\r\n${zero}`), posted('0123456789')],
  ['a last chunk of many zeros', chunked('3\r\nabc\r\n000\r\n\r\n'), posted('abc')],
  ['sizes with leading zeros', chunked(`003\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ...['-3', '+3', '0x3', '0X3', ' 3', '\t3', '3 ', '3\t', '3\v', '\v3', '3_', '3x', 'G', '', ' ', '3 3', '3,', '3"', '3\0', '\x003', '3.0', '3e', '3\x80', "3'", '٣']
    .filter((size) => size !== '3e')
    .map((size): Case => [`a chunk size of ${JSON.stringify(size)}`, chunked(`${size}\r\nabc\r\n${zero}`), { either: posted('abc') }]),
  // Sizes that fit into 64 bits are lengths, of a chunk whose end never comes.
  ...['ffffffffffffffff', '8000000000000003', '100000003', 'fffffff'].map((size): Case => [`a chunk size of ${size}`, chunked(`${size}\r\nabc\r\n${zero}`), 'unfinished']),
  ...['10000000000000003', 'fffffffffffffffff', `${'0'.repeat(40)}3`, `${'0'.repeat(30_000)}3`]
    .map((size): Case => [`a chunk size of ${size.slice(0, 20)}, ${size.length} digits`, chunked(`${size}\r\nabc\r\n${zero}`), { either: posted('abc') }]),
  ...['-0', '+0', '0x0', '0X', ' 0', '0 ', '0\t', '0\v', '00x', '0,']
    .map((size): Case => [`a last chunk size of ${JSON.stringify(size)}`, chunked(`3\r\nabc\r\n${size}\r\n\r\n`), { either: posted('abc') }]),
  ['a chunk that is longer than it says', chunked(`3\r\nabcd\r\n${zero}`), 'refused'],
  ['a chunk that is shorter than it says', chunked(`3\r\nab\r\n${zero}`), 'refused'],
  ['spill: bytes between the chunk and its end', chunked(`3\r\nabcXX\r\n${zero}`), 'refused'],
  ['no CRLF behind a chunk', chunked(`3\r\nabc${zero}`), 'refused'],
  ['a bare LF behind a chunk', chunked(`3\r\nabc\n${zero}`), 'refused'],
  ['a bare CR behind a chunk', chunked(`3\r\nabc\r${zero}`), 'refused'],
  ['a bare LF behind a size', chunked(`3\nabc\r\n${zero}`), 'refused'],
  ['a bare CR behind a size', chunked(`3\rabc\r\n${zero}`), 'refused'],
  ['a CR and something else behind a size', chunked(`3\rXabc\r\n${zero}`), 'refused'],
  ['bare LF behind the last chunk', chunked('3\r\nabc\r\n0\n\n'), 'refused'],
  ['a bare LF at the end of the last chunk', chunked('3\r\nabc\r\n0\r\n\n'), 'refused'],
  ['a bare CR at the end of the last chunk', chunked('3\r\nabc\r\n0\r\n\r'), 'refused'],
  ['spill behind the last chunk', chunked('3\r\nabc\r\n0\r\nX'), 'refused'],
  ['spill in place of the last CRLF', chunked('3\r\nabc\r\n0\r\nXX'), 'refused'],
  ['a request in place of the last CRLF', `POST /a HTTP/1.1\r\nHost: h\r\n${te}\r\n\r\n3\r\nabc\r\n0\r\n${smuggled}`, 'refused'],
  ['an extension', chunked(`3;a=b\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['a quoted extension', chunked(`3;a="b;c"\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['an extension without a name', chunked(`3;\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['an extension with spaces', chunked(`3 ; a = b\r\nabc\r\n${zero}`), { either: posted('abc') }],
  ['an extension on the last chunk', chunked('3\r\nabc\r\n0;a\r\n\r\n'), { either: posted('abc') }],
  ['an extension with a bare LF', chunked(`3;a\nb\r\nabc\r\n${zero}`), 'refused'],
  ['an extension that ends in a bare LF', chunked(`3;a\nabc\r\n${zero}`), 'refused'],
  ['an extension with a bare CR', chunked(`3;a\rb\r\nabc\r\n${zero}`), 'refused'],
  ['an extension with a quoted LF', chunked(`3;a="\n"\r\nabc\r\n${zero}`), 'refused'],
  ['an extension with a quoted CRLF', chunked(`3;a="\r\n"\r\nabc\r\n${zero}`), 'refused'],
  ['an extension that hides a request', chunked(`2;\nxx\r\n4c\r\n${zero}${smuggled}`), 'refused'],
  ['an extension with a NUL', chunked(`3;a\0\r\nabc\r\n${zero}`), 'refused'],
  ['an extension with an open quote', chunked(`3;a="b\r\nabc\r\n${zero}`), 'refused'],
  ['an extension of 20,000 bytes', chunked(`3;${'a'.repeat(20_000)}\r\nabc\r\n${zero}`), 'refused'],
  ['an extension of 20,000 spaces', chunked(`3${spaces}\r\nabc\r\n${zero}`), 'refused'],
  ['extensions without end on many chunks', chunked(`${`1;${'a'.repeat(1_000)}\r\nx\r\n`.repeat(40)}${zero}`), { either: posted('x'.repeat(40)) }],
  ['a trailer', chunked('3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n'), posted('abc')],
  ['a trailer that is a length', chunked('3\r\nabc\r\n0\r\nContent-Length: 30\r\n\r\n'), { either: posted('abc') }],
  ['a trailer that is a coding', chunked(`3\r\nabc\r\n0\r\n${te}\r\n\r\n`), { either: posted('abc') }],
  ['a trailer that is a Host', chunked('3\r\nabc\r\n0\r\nHost: evil\r\n\r\n'), { either: posted('abc') }],
  // Node's parser takes it for one of the head's, and so nothing more is read on the connection.
  ['a trailer that is a Connection', chunked('3\r\nabc\r\n0\r\nConnection: close\r\n\r\n').replace(next, ''), ['POST /a abc']],
  ['a trailer that is an Upgrade', chunked('3\r\nabc\r\n0\r\nUpgrade: h2c\r\n\r\n'), { either: posted('abc') }],
  ['a trailer with a space before its colon', chunked('3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n'), 'refused'],
  ['a folded trailer', chunked('3\r\nabc\r\n0\r\nX-A: 1\r\n 2\r\n\r\n'), 'refused'],
  ['a trailer with a NUL', chunked('3\r\nabc\r\n0\r\nX-A: 1\0\r\n\r\n'), 'refused'],
  ['a trailer with a bare LF', chunked('3\r\nabc\r\n0\r\nX-A: 1\nX-B: 2\r\n\r\n'), 'refused'],
  ['a trailer with a bare CR', chunked('3\r\nabc\r\n0\r\nX-A: 1\rX-B: 2\r\n\r\n'), 'refused'],
  ['trailers of 40,000 bytes', chunked(`3\r\nabc\r\n0\r\n${`X-A: ${'a'.repeat(990)}\r\n`.repeat(40)}\r\n`), 'refused'],
]

/** Line ends, names and values: RFC 9112 §2.2, §5. */
export const lines: readonly Case[] = [
  ['bare LF everywhere', `GET /a HTTP/1.1\nHost: h\n\n${next}`, 'refused'],
  ['a bare LF behind the request line', `GET /a HTTP/1.1\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a bare LF behind a field', `GET /a HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n${next}`, 'refused'],
  ['a bare LF at the end of the head', `GET /a HTTP/1.1\r\nHost: h\r\n\n${next}`, 'refused'],
  ['a bare LF behind the last field', `GET /a HTTP/1.1\r\nHost: h\n\r\n${next}`, 'refused'],
  ['a bare CR behind the request line', `GET /a HTTP/1.1\rHost: h\r\n\r\n${next}`, 'refused'],
  ['a bare CR behind a field', `GET /a HTTP/1.1\r\nHost: h\rX: 1\r\n\r\n${next}`, 'refused'],
  ['a bare CR at the end of the head', `GET /a HTTP/1.1\r\nHost: h\r\n\r${next}`, 'refused'],
  ['CR X at the end of the head', `GET /a HTTP/1.1\r\nHost: h\r\n\rX${next}`, 'refused'],
  ['CR CR LF', `GET /a HTTP/1.1\r\nHost: h\r\r\n\r\n${next}`, 'refused'],
  ['LF CR', `GET /a HTTP/1.1\n\rHost: h\n\r\n\r${next}`, 'refused'],
  ['empty lines before the request', `\r\n\r\n${get('X: 1')}`, { either: got }],
  ['bare LFs before the request', `\n\n${get('X: 1')}`, { either: got }],
  ['a bare CR before the request', `\r${get('X: 1')}`, { either: got }],
  ['a space before the request', ` ${get('X: 1')}`, 'refused'],
  ['a fold', get('X: 1\r\n 2'), 'refused'],
  ['a fold with a tab', get('X: 1\r\n\t2'), 'refused'],
  ['a fold as the first field', `GET /a HTTP/1.1\r\n Host: h\r\n\r\n${next}`, 'refused'],
  ['a fold that is empty', get('X: 1\r\n '), 'refused'],
  ['a space before the colon', get('X : 1'), 'refused'],
  ['no colon', get('X 1'), 'refused'],
  ['no name', get(': 1'), 'refused'],
  ['only a colon', get(':'), 'refused'],
  ['a name alone', get('X'), 'refused'],
  ...Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).concat('\x7f').filter((char) => char !== '\t').map((char): Case =>
    [`${JSON.stringify(char)} in a value`, get(`X: a${char}b`), 'refused']),
  ...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).filter((char) => !/[!#$%&'*+.^_`|~0-9A-Za-z:-]/.test(char)).map((char): Case =>
    [`${JSON.stringify(char)} in a name`, get(`X${char}Y: a`), 'refused']),
  ['a tab in a value', get('X: a\tb'), got],
  ['obs-text in a value', get('X: caf\xe9 \x80\xff'), got],
  ['an empty value', get('X:'), got],
  ['a value of spaces', get('X:   \t '), got],
]

/** The request line: RFC 9112 §3. */
export const requestLines: readonly Case[] = [
  ['HTTP/0.9', `GET /a\r\n\r\n${next}`, 'refused'],
  ['HTTP/0.9 with fields', `GET /a\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['HTTP/0.9, said so', `GET /a HTTP/0.9\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ...['HTTP/1.2', 'HTTP/1.9', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/2', 'HTTP/1', 'HTTP/11', 'HTTP/1.10', 'HTTP/1.01', 'HTTP/01.1', 'HTTP/ 1.1', 'HTTP/1. 1', 'HTTP /1.1', 'http/1.1', 'Http/1.1', 'HTTPS/1.1', 'HTTP/1.1x', 'HTTP/1.1 ', 'HTTP/1.1\t', 'HTTP/1,1', 'HTTP/1.', 'HTTP/.1', 'HTTP/-1.1', 'HTTP/+1.1', 'HTTP\\1.1', 'ICE/1.0', 'X', 'HTTP/1.1 HTTP/1.1', 'HTTP/1.1\0', 'HTTP/0.0', 'HTTP/9.9', '\u0000HTTP/1.1', 'HTTP/1.1\v']
    .map((version): Case => [`version ${JSON.stringify(version)}`, `GET /a ${version}\r\nHost: h\r\n\r\n${next}`, 'refused']),
  ...['HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2'].map((version): Case => [`${version}, to be kept alive`, `PUT /a ${version}\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n${next}`, 'refused']),
  // Node's parser takes it for HTTP/1.0, and the request is forwarded so.
  ['RTSP', 'GET /a RTSP/1.0\r\nHost: h\r\n\r\n', { either: ['GET /a '] }],
  ...['DESCRIBE', 'ANNOUNCE', 'SETUP', 'PLAY', 'GET_PARAMETER', 'FLUSH'].map((method): Case => [`a method of RTSP, ${method}`, `${method} /a RTSP/1.0\r\nHost: h\r\n\r\n`, 'refused']),
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'refused'],
  ['two spaces before the target', `GET  /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: got }],
  ['two spaces before the version', `GET /a  HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: got }],
  ['a tab before the target', `GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a tab before the version', `GET /a\tHTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a vertical tab before the version', `GET /a\vHTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a space in the target', `GET /a b HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a version in the target', `GET /a HTTP/1.1 /b HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['no target', `GET HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['no method', `/a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['an empty line for a request', `\r\n\r\n\r\n\r\n${next}`, { either: [nextSeen] }],
  ['CONNECT', `CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n${next}`, 'refused'],
  ['CONNECT with a path', `CONNECT /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['CONNECT with a length', `CONNECT h:80 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc${next}`, 'refused'],
  ['TRACE', `TRACE /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: [nextSeen] }],
  ['authority-form', `GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['authority-form without a port', `GET h HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['asterisk-form with GET', `GET * HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: [nextSeen] }],
  ['asterisk-form with POST', `POST * HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: [nextSeen] }],
  ['asterisk-form with OPTIONS', `OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: [nextSeen] }],
  ['*/ for a target', `OPTIONS */a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, { either: [nextSeen] }],
  ['an empty target in quotes', `GET "" HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a relative target', `GET a/b HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a query for a target', `GET ?a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a backslash for a target', `GET \\a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['h2c', get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'), { either: ['GET /a '] }],
  ['h2c with a body', post('Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3', 'abc'), 'refused'],
  ['h2c with chunks', post(`Connection: Upgrade\r\nUpgrade: h2c\r\n${te}`, zero), 'refused'],
  ['h2c behind a request', `GET /before HTTP/1.1\r\nHost: h\r\n\r\n${get('Connection: Upgrade\r\nUpgrade: h2c')}`, ['GET /before ', 'GET /a ']],
  ['h2c with a body behind a request', `GET /before HTTP/1.1\r\nHost: h\r\n\r\n${post('Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3', 'abc')}`, ['GET /before ']],
  ['CONNECT behind a request', `GET /before HTTP/1.1\r\nHost: h\r\n\r\nCONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n${next}`, ['GET /before ']],
  ['a chunk without a size behind a request', `GET /before HTTP/1.1\r\nHost: h\r\n\r\n${chunked(`zz\r\n${zero}`)}`, ['GET /before ']],
  ['nonsense behind a request', `GET /before HTTP/1.1\r\nHost: h\r\n\r\nnonsense\r\n\r\n${next}`, ['GET /before ']],
  ['an upgrade to TLS', get('Connection: Upgrade\r\nUpgrade: TLS/1.0'), { either: ['GET /a '] }],
  ['Upgrade without Connection', get('Upgrade: h2c'), { either: got }],
  ['a lower-case method', `get /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a mixed-case method', `Get /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['an unknown method', `FOO /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a method that goes on', `GETX /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ['a method of 100,000 bytes', `${'G'.repeat(100_000)} /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused'],
  ...['\0GET', 'GE\0T', 'GET\0', 'G\x80T', '"GET"', 'GET,', 'G ET', '\x16\x03\x01', 'GET\x0b'].map((method): Case => [`method ${JSON.stringify(method)}`, `${method} /a HTTP/1.1\r\nHost: h\r\n\r\n${next}`, 'refused']),
]

const hosted = (host: string, target = '/a'): string => `GET ${target} HTTP/1.1\r\n${host}\r\n\r\n${next}`

/** The host of a request: RFC 9112 §3.2, RFC 9110 §7.2. */
export const hosts: readonly Case[] = [
  ['no Host', hosted('X: 1'), 'refused'],
  ['an empty Host', hosted('Host:'), 'refused'],
  ['two Hosts', hosted('Host: a\r\nHost: b'), 'refused'],
  ['two equal Hosts', hosted('Host: a\r\nHost: a'), 'refused'],
  ['two Hosts, and something expected', hosted('Host: a\r\nHost: b\r\nExpect: x'), 'refused'],
  ['two Hosts in odd case', hosted('Host: a\r\nX: 1\r\nhOsT: b'), 'refused'],
  ['two Hosts beside an absolute-form target', hosted('Host: a\r\nHost: b', 'http://c/a'), 'refused'],
  ['a Host in a fold', hosted('Host:\r\n a'), 'refused'],
  ['a space before the colon', hosted('Host : a'), 'refused'],
  ['a space before Host', hosted('X: 1\r\n Host: a'), 'refused'],
  ...['user@a', 'user:pass@a', 'a@b', '@a', 'a/b', 'a/', '/a', 'a b', 'a?b', 'a#b', 'a\\b', '"a"', '<a>', 'a,b', 'a, b', 'a;b c', 'http://a', 'a:b', 'a:', 'a:80:80', 'a:-1', 'a:+80', 'a:0', 'a:65536', 'a:99999999999', 'a:80a', 'a: 80', '[::1', '::1', '[::1]x', '[::1]:x', '[]', '[g::1]', 'a%00', 'a%2eb', 'a%0d%0a', '%61', 'a\0b', 'a\x01b', 'a\x7fb', 'a\tb', 'caf\xe9', '\xff', 'a{b}', 'a|b', 'a^b', 'a`b', '.', '..', '.a', 'a..b', 'a'.repeat(300), ' ', '\t']
    .map((host): Case => [`Host: ${JSON.stringify(host.slice(0, 40))}`, hosted(`Host: ${host}`), { either: got }]),
  ['absolute-form', hosted('Host: h', 'http://h/a'), { either: got }],
  ['absolute-form with another Host', hosted('Host: evil', 'http://h/a'), { either: got }],
  ['absolute-form without a Host', hosted('X: 1', 'http://h/a'), 'refused'],
  ['absolute-form with user information', hosted('Host: h', 'http://u:p@h/a'), 'refused'],
  ['absolute-form without an authority', hosted('Host: h', 'http:///a'), 'refused'],
  ['absolute-form with nothing', hosted('Host: h', 'http://'), 'refused'],
  ['absolute-form with one slash', hosted('Host: h', 'http:/a'), 'refused'],
  ['absolute-form with another scheme', hosted('Host: h', 'ftp://h/a'), 'refused'],
  ['absolute-form with a scheme that runs things', hosted('Host: h', 'javascript:alert(1)'), 'refused'],
  ['absolute-form with a file', hosted('Host: h', 'file:///etc/passwd'), 'refused'],
  ['absolute-form with a backslash', hosted('Host: h', 'http://h\\@evil/a'), 'refused'],
  ['absolute-form with a tab', hosted('Host: h', 'http://h\t/a'), 'refused'],
  ['absolute-form with a NUL', hosted('Host: h', 'http://h\0/a'), 'refused'],
  ['absolute-form in absolute-form', hosted('Host: h', 'http://h/http://evil/'), { either: ['GET /http://evil/ ', nextSeen] }],
  ['absolute-form with a fragment', hosted('Host: h', 'http://h#/a'), 'refused'],
  ['absolute-form of an odd port', hosted('Host: h', 'http://h:x/a'), 'refused'],
]

/** Targets that origins read in their own ways: the very bytes, or nothing. */
export const targets: readonly string[] = [
  '/a\\b', '/\\evil', '/a/./b', '/./a', '//a', '//evil/a', '///a', '/a//b', '/%00', '/a%00b', '/%0d%0aX:1', '/a%0aSet-Cookie:x', '/%2f', '/a%2fb', '/a%2Fb', '/%5c', '/%25', '/%2525', '/%', '/%zz', '/a%2', '/?', '/??', '/?a', '/a?', '/a??b', '/a?b?c', '/a?b=c&d', '/a?&', '/a?=',
  '/a;b', '/a;b=c/d', '/;a', '/a?b;c', '/a|b', '/a{b}', '/a[b]', '/a^b', '/a`b', '/a"b', '/a<b>', "/a'b", '/a!b', '/a$b', '/a(b)', '/a*b', '/a,b', '/a=b', '/a@b', '/a:b', '/a~b', '/a+b', '/a&b', '/.', '/a.', '/.a', '/...', '/a/.../b', '/a?..', '/a?x=/../y', '/%2e', '/a/%2e', '/%E2%82%AC', '/caf\xe9', '/\x80', '/\xff', '/\xe2\x82\xac', '/a\xa0b', '/http://evil/', '/@evil', '/a?http://evil', '/__proto__', '/constructor?__proto__=1', '/*', '/a%20b', '/a%09b', '/a%3fb', '/a%23b', '/%61', '/A', '/a%41', '/a%2561',
]

/** Targets that must not get through. */
export const refusedTargets: readonly string[] = ['/..', '/../a', '/a/..', '/a/../b', '/%2e%2e/', '/.%2e/', '/%2E./a', '/a/..%2fb', '/..%5ca', '/..\\a', '/a\\..\\b', '/a%2f..', '/a#b', '/#', '/a?b#c', '/a\0b', '/a\x01', '/a\x1f', '/a\x7f', '/a\tb', '/a\vb']
