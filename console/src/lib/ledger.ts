/** How the loss ledger is told: what is missing, why lines were refused, what people should look at. */
import type { LedgerLine } from '@/api/types'

/** Lines that are nowhere and, after a comma, stored lines that no rule saw; `0` when nothing is missing. */
export function missing({ unaccounted, unevaluated }: Pick<LedgerLine, 'unaccounted' | 'unevaluated'>): string {
  return unevaluated === 0 ? String(unaccounted) : `${unaccounted}, ${unevaluated}`
}

/** `98 %`. */
export function percent(share: number | null | undefined, locale: string): string {
  return new Intl.NumberFormat(locale, { style: 'percent' }).format(share ?? 0)
}
