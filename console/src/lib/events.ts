/** Reading OCSF events of any class: values by dotted path, and one line that says what happened. */
import type { OcsfEvent } from '@/api/ocsf'

export function uidOfEvent(event: OcsfEvent): string {
  return event.metadata?.uid ?? ''
}

/** The value at a dotted path as text; lists joined; empty when absent. */
export function valueAt(event: OcsfEvent, path: string): string {
  let value: unknown = event
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null) return ''
    value = (value as Record<string, unknown>)[key]
  }
  if (Array.isArray(value)) return value.filter((item) => typeof item !== 'object').join(', ')
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value)
}

/** What tells one event of a class from another, in the order of how much it tells; the first three found are shown. */
const TELLING = [
  'http_request.http_method',
  'http_request.url.path',
  'http_request.url.url_string',
  'http_response.code',
  'query.hostname',
  'process.cmd_line',
  'process.name',
  'actor.user.name',
  'user.name',
  'auth_protocol',
  'status',
  'file.path',
  'job.name',
  'reg_key.path',
  'api.operation',
  'rule.name',
  'connection_info.protocol_name',
]
const TOLD = 4

/** The event's message, or its most telling attributes, or its raw text. */
export function summaryOf(event: OcsfEvent): string {
  if (event.message) return event.message
  const told = TELLING.map((path) => valueAt(event, path))
    .filter((value) => value !== '')
    .slice(0, TOLD)
  return told.length > 0 ? told.join('  ') : (event.raw_data ?? '')
}
