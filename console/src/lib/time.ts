/** Instants on screen: in the zone of the preferences, whatever zone the browser is in. */

export interface ZonedParts {
  year: string
  month: string
  day: string
  hour: string
  minute: string
  second: string
}

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatter(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  formatters.set(zone, made)
  return made
}

export function partsIn(instant: number, zone: string): ZonedParts {
  const parts: ZonedParts = { year: '', month: '', day: '', hour: '', minute: '', second: '' }
  for (const { type, value } of formatter(zone).formatToParts(instant)) {
    if (type in parts) parts[type as keyof ZonedParts] = value
  }
  return parts
}

/** `2026-11-22 14:03:05` in the zone. */
export function dateTime(instant: number, zone: string): string {
  const { year, month, day, hour, minute, second } = partsIn(instant, zone)
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`
}

/** `14:03:05` on the day of `now`, else `11-21 14:03:05`, with the year when it is another one. */
export function compactTime(instant: number, now: number, zone: string): string {
  const at = partsIn(instant, zone)
  const today = partsIn(now, zone)
  const clock = `${at.hour}:${at.minute}:${at.second}`
  if (at.year !== today.year) return `${at.year}-${at.month}-${at.day} ${clock}`
  if (at.month !== today.month || at.day !== today.day) return `${at.month}-${at.day} ${clock}`
  return clock
}

/** The zone's offset from UTC at an instant, in minutes. */
export function offsetMinutes(instant: number, zone: string): number {
  const { year, month, day, hour, minute, second } = partsIn(instant, zone)
  const local = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
  return Math.round((local - Math.floor(instant / 1000) * 1000) / 60_000)
}

/** `UTC+08:00`. */
export function offsetName(instant: number, zone: string): string {
  const minutes = offsetMinutes(instant, zone)
  return `UTC${minutes < 0 ? '-' : '+'}${twoDigits(minutes / 60)}:${twoDigits(minutes % 60)}`
}

function twoDigits(value: number): string {
  return Math.floor(Math.abs(value)).toString().padStart(2, '0')
}

/** What hovering over a time shows: date, milliseconds, zone, and UTC for comparing with others' logs. */
export function fullTime(instant: number, zone: string): string {
  const milliseconds = (((instant % 1000) + 1000) % 1000).toString().padStart(3, '0')
  return `${dateTime(instant, zone)}.${milliseconds} ${offsetName(instant, zone)} (${zone})\n${new Date(instant).toISOString()}`
}

/** `2026-11-22 14:03[:05]` (or with `T`) in the zone to an instant; undefined when it is not a time. */
export function parseLocal(text: string, zone: string): number | undefined {
  const match = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?$/.exec(text.trim())
  if (!match) return undefined
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1).map((part) => Number(part ?? 0))
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return undefined
  const asUtc = Date.UTC(year, month - 1, day, hour, minute, second)
  // The offset is asked at the guessed instant; once more settles the hours around a change of offset.
  const guess = asUtc - offsetMinutes(asUtc, zone) * 60_000
  return asUtc - offsetMinutes(guess, zone) * 60_000
}

/** An RFC 3339 text or OCSF milliseconds to milliseconds; undefined when absent or not a time. */
export function instantOf(time: string | number | null | undefined): number | undefined {
  if (typeof time === 'number') return time
  if (!time) return undefined
  const parsed = Date.parse(time)
  return Number.isNaN(parsed) ? undefined : parsed
}

/** Relative time in words (`3 分钟前`, `3 minutes ago`). */
export function relative(instant: number, now: number, locale: string): string {
  const seconds = Math.round((instant - now) / 1000)
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: locale.startsWith('zh') ? 'long' : 'short' })
  const size = Math.abs(seconds)
  if (size < 60) return format.format(seconds, 'second')
  if (size < 3600) return format.format(Math.trunc(seconds / 60), 'minute')
  if (size < 86_400) return format.format(Math.trunc(seconds / 3600), 'hour')
  return format.format(Math.trunc(seconds / 86_400), 'day')
}
