/** Histogram buckets that start at times people read: on the minute, the hour, the day of the display zone. */
import { offsetMinutes } from './time'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const WIDTHS = [
  SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  20 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  7 * DAY,
]

export interface Buckets {
  from: number
  to: number
  count: number
}

/** Widens a span to whole buckets of the narrowest readable width that needs no more than `most` of them. */
export function readableBuckets(span: { from: number; to: number }, most: number, zone: string): Buckets {
  const width = WIDTHS.find((candidate) => (span.to - span.from) / candidate <= most - 1) ?? 7 * DAY
  const offset = offsetMinutes(span.from, zone) * MINUTE
  const from = Math.floor((span.from + offset) / width) * width - offset
  const count = Math.max(1, Math.ceil((span.to - from) / width))
  return { from, to: from + count * width, count }
}
