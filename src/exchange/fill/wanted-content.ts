// The difference between what a fill fetches and what its client wants: a part for the whole, or the whole for a part.
import type { RangeAsked } from '../../policy/combine.ts'
import type { RoutedRequest } from '../routed-request.ts'
import type { FillPlan } from './plan.ts'

/** The content that the client of a fill wants, compared with that which is fetched. */
export class WantedContent {
  /** True if the missing rest of an incomplete response is fetched, for a client that wants the whole. */
  readonly wholeForRest: boolean
  /** True if the whole is fetched, for a client that wants a part. */
  readonly partOfWhole: boolean
  /** The Range that another fetch for this client alone has. */
  readonly rangeAgain: RangeAsked | undefined
  /** True if the response to this fetch shows whether the response that followers want may be stored. */
  readonly provesWhole: boolean

  constructor({ range: fetched }: Pick<FillPlan, 'range'>, { request: { range, ifRange }, fetchesWhole }: RoutedRequest) {
    this.wholeForRest = fetched !== undefined && range === undefined
    this.partOfWhole = fetched === undefined && range !== undefined
    this.rangeAgain = range === undefined ? undefined : { range, ifRange }
    // On a route that fetches the whole, a part is requested only if the whole may not be stored.
    this.provesWhole = !this.wholeForRest && (fetched === undefined || !fetchesWhole)
  }
}
