/** Reading OCSF events of any class: values by dotted path, and one line that says what happened. */
import type { OcsfEvent } from '@/api/ocsf'
import type { EntityKey, EntityKind } from './entities'

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

/** Where an event names the one who acts and the one acted upon: the first path that has a value. */
export const FROM: readonly Side[] = [
  ['src_endpoint.ip', 'address'],
  ['src_endpoint.hostname', 'host'],
  ['actor.user.name', 'user'],
]
export const TO: readonly Side[] = [
  ['dst_endpoint.ip', 'address'],
  ['dst_endpoint.hostname', 'host'],
  ['device.hostname', 'host'],
  ['device.ip', 'address'],
]

/** What sources write when they know no name. */
const PLACEHOLDERS = new Set(['-', '?', 'unknown', 'localhost', '(null)', 'n/a'])

type Side = readonly [path: string, kind: EntityKind]

/** The first of the paths that has a value, as an entity; at most one. */
export function sideOf(event: OcsfEvent, side: readonly Side[]): EntityKey[] {
  for (const [path, kind] of side) {
    const value = valueAt(event, path)
    if (value && !PLACEHOLDERS.has(value.toLowerCase())) return [{ kind, value }]
  }
  return []
}

/** What tells one event of a class from another, in the order of how much it tells; the first three found are shown. */
const TELLING = [
  'http_request.http_method',
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
]
const TOLD = 4

/** `tcp :52114 → :443 tls, 1032 B out, 5120 B in`; empty for what is no connection. */
function connectionOf(event: OcsfEvent): string {
  const [protocol, from, to] = ['connection_info.protocol_name', 'src_endpoint.port', 'dst_endpoint.port'].map((path) => valueAt(event, path))
  if (!to) return ''
  const bytes = (path: string, way: string) => (valueAt(event, path) ? `, ${valueAt(event, path)} B ${way}` : '')
  const ways = `${bytes('traffic.bytes_out', 'out')}${bytes('traffic.bytes_in', 'in')}`
  return `${protocol} ${from ? `:${from}` : ''} → :${to} ${valueAt(event, 'app_name')}${ways}`.trim()
}

/** The event's message, or its most telling attributes, or its raw text. */
export function summaryOf(event: OcsfEvent): string {
  if (event.message) return event.message
  const values = [...TELLING.map((path) => valueAt(event, path)), connectionOf(event)]
  const told = [...new Set(values)].filter((value) => value !== '').slice(0, TOLD)
  return told.length > 0 ? told.join('  ') : (event.raw_data ?? '')
}
