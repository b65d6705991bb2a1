// The states of a fill.

/**
 * The state of a fill.
 *
 * | state | until | bytes of the origin go to | the client leaves | the origin fails |
 * |---|---|---|---|---|
 * | requesting | the final head comes | | goes on if the response may be stored | a stale response, or a problem document |
 * | relaying | the body ends | client, store and tee | goes on if it is being stored, or read by others | the response is truncated, visibly |
 * | completing | the whole is there, of which the client had or wants a part | store and tee; the client is served from these | goes on | a problem document |
 * | serving-stored | the client has a stored response, or a new fill takes over | nobody | goes on | nothing |
 * | done | | nobody | nothing | nothing |
 */
export type FillState = 'requesting' | 'relaying' | 'completing' | 'serving-stored' | 'done'
