// Identities that others issue: bearer tokens (JWT) of an identity provider.
import { Type } from '../../json-schema.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../units.ts'
import { duration, memberNames, section, text, texts } from './leaf.ts'

const providerSchema = section({
  name: text('name', { prose: 'The name of this source in `identity.sources` of routes, and in the claim `from` of the field to backends. `session` is taken.' }),
  issuer: text('claim-text', { prose: 'The claim `iss` that a token must have, byte for byte.' }),
  audience: texts('claim-text', { minItems: 1, prose: 'A token must name one of these in its claim `aud`.' }),
  jwks: text('key-set-place', {
    prose:
      'The public keys of the provider (RFC 7517): an https URL, or the path of a file. Redirects are not followed. http is for loopback alone, because keys that are changed on their way make false tokens right.',
  }),
  algorithms: texts('jwt-algorithm', { default: ['RS256', 'ES256', 'EdDSA'],
    prose: 'The signature algorithms that are accepted, whatever a token or a key says: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519.' }),
  claims: Type.Record(Type.String({ pattern: memberNames.facet.source }), text('claim-place', { prose: '' }), {
    default: {},
    additionalProperties: false,
    expects: 'claims by the name of a facet, such as { tenant: org_id }, or { roles: /realm_access/roles } for a member of a claim',
    description:
      'The claims that facets and plain fields read: name of the facet, and the claim. A claim that begins with / is a path to a member of a claim (RFC 6901). `user` is `sub` unless it is given here. A facet that is not given here is the claim of its own name.',
  }),
  leeway: duration({ max: 5 * MINUTE, default: 30 * SECOND, prose: 'How far the clocks of the provider and of this machine may differ, for `exp` and `nbf`.' }),
  refresh: duration({ min: SECOND, max: 7 * DAY, default: 10 * MINUTE,
    prose: 'Age of the keys at which they are read again, while requests go on. A token with an unknown key causes that too. Lower it if keys must stop counting sooner.' }),
  cooldown: duration({ min: 100, max: HOUR, default: 30 * SECOND,
    prose: 'Least time between two attempts to read the keys, in each process, failures included. Tokens with invented keys cannot flood the provider.' }),
  keepStale: duration({ min: 0, max: 30 * DAY, default: DAY,
    prose: 'How long the last keys are used if the provider cannot be reached. After that its tokens cannot be verified.' }),
})

export const authSchema = section({
  jwt: Type.Array(providerSchema, {
    default: [],
    description:
      'Identity providers whose JSON Web Tokens identify requests (`Authorization: Bearer`). Routes name them in `identity.sources`. The keys in a file are read again at a reload.',
  }),
}, 'Identities that others issue.')
