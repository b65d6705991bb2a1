// The texts about a reason, for explain and for docs/reasons.md.
import { decisionTexts } from './decision-texts.ts'
import { notStoredTexts } from './not-stored-texts.ts'
import { filled, type Facts, type ReasonText } from './reason-text.ts'
import type { Reason } from './reasons.ts'

const texts: Readonly<Record<Reason, ReasonText>> = { ...notStoredTexts, ...decisionTexts }

/** Returns what a reason means, and the change that leads to another result, with the known facts of one request filled in. */
export function explainReason(reason: Reason, facts: Facts = {}): ReasonText {
  const { section, meaning, advice } = texts[reason]
  return { section, meaning: filled(meaning, facts), advice: filled(advice, facts) }
}

/** The texts as they are written, with their places. */
export function writtenText(reason: Reason): ReasonText {
  return texts[reason]
}
