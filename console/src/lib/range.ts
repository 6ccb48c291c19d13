/** Time ranges as they stand in addresses: `last=24h`, or `from` and `to` as RFC 3339. */
import type { LocationQuery, LocationQueryRaw } from 'vue-router'

/** The relative ranges on offer, in milliseconds. */
export const LASTS = {
  '15m': 15 * 60_000,
  '1h': 3_600_000,
  '6h': 6 * 3_600_000,
  '24h': 86_400_000,
  '7d': 7 * 86_400_000,
  '30d': 30 * 86_400_000,
} as const

export type Last = keyof typeof LASTS

export type Range = { last: Last } | { from: number; to: number }

export function isLast(text: unknown): text is Last {
  return typeof text === 'string' && text in LASTS
}

/** The two ends now, in milliseconds. */
export function boundsOf(range: Range, now: number): { from: number; to: number } {
  return 'last' in range ? { from: now - LASTS[range.last], to: now } : { from: range.from, to: range.to }
}

/** Reads a range out of an address; what cannot be read falls back. */
export function rangeOfQuery(query: LocationQuery, fallback: Last): Range {
  const from = Date.parse(String(query['from'] ?? ''))
  const to = Date.parse(String(query['to'] ?? ''))
  if (!Number.isNaN(from) && !Number.isNaN(to) && from < to) return { from, to }
  return { last: isLast(query['last']) ? query['last'] : fallback }
}

/** A range as address parameters; the ones it does not use are cleared. */
export function queryOfRange(range: Range): LocationQueryRaw {
  return 'last' in range
    ? { last: range.last, from: undefined, to: undefined }
    : { last: undefined, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() }
}
