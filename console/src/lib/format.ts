/** Numbers, spans and sizes as people read them; times are in time.ts. */

/** Counts are exact up to here, then shortened (the exact value goes in the title). */
const EXACT_UP_TO = 9_999

export function exactCount(count: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(count)
}

/** `9,999` exactly, then `1.2 万` (zh) or `12 k` (en). */
export function shortCount(count: number, locale: string): string {
  if (Math.abs(count) <= EXACT_UP_TO) return exactCount(Math.round(count), locale)
  const units: [number, string][] = locale.startsWith('zh')
    ? [
        [1e8, '亿'],
        [1e4, '万'],
      ]
    : [
        [1e9, 'B'],
        [1e6, 'M'],
        [1e3, 'k'],
      ]
  for (const [size, unit] of units) {
    if (Math.abs(count) >= size) return `${twoOrThreeDigits(count / size)} ${unit}`
  }
  return exactCount(count, locale)
}

// 1.2, 12, 123: a shortened count never claims more than it knows; it is cut, not rounded up into the next unit.
function twoOrThreeDigits(value: number): string {
  return Math.abs(value) < 10 ? (Math.trunc(value * 10) / 10).toString() : Math.trunc(value).toString()
}

/** A rate per second: one decimal below ten. */
export function rate(perSecond: number, locale: string): string {
  if (perSecond > 0 && perSecond < 0.1) return '< 0.1'
  if (perSecond < 10) return new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(perSecond)
  return shortCount(perSecond, locale)
}

/** Milliseconds as the one or two units that matter, for spans between two events. */
export function span(milliseconds: number, units: { day: string; hour: string; minute: string; second: string }): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), units.day],
    [Math.floor(seconds / 3600) % 24, units.hour],
    [Math.floor(seconds / 60) % 60, units.minute],
    [seconds % 60, units.second],
  ]
  const first = parts.findIndex(([amount]) => amount > 0)
  if (first === -1) return `0 ${units.second}`
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ')
}
