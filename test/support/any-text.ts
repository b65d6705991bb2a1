// Arbitrary text for properties: any code points that are no half of a surrogate pair, as the unit `binary` of fast-check has. That
// unit builds a table of all of them, which costs 0.8 CPU seconds in each process.
import * as fc from 'fast-check'

const surrogates = 0xd800
const afterSurrogates = 0xe000
const gap = afterSurrogates - surrogates
const ascii = 0x80

const codePoint = fc.oneof(fc.nat({ max: ascii - 1 }), fc.nat({ max: 0x10ffff - gap }))
  .map(
    number => String.fromCodePoint(number < surrogates ? number : number + gap),
    // fast-check adds texts such as `__proto__`, if it can take them apart.
    character => {
      const number = typeof character === 'string' ? character.codePointAt(0) : undefined
      if (number === undefined || String.fromCodePoint(number) !== character) throw new Error('not one code point')
      return number < surrogates ? number : number - gap
    },
  )

/** Returns any text. */
export function anyText(constraints: Pick<fc.StringConstraints, 'minLength' | 'maxLength'> = {}): fc.Arbitrary<string> {
  return fc.string({ unit: codePoint, ...constraints })
}
