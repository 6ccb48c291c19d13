/** Entities as they stand in addresses (`address:10.2.3.4`) and in search conditions. */

export const ENTITY_KINDS = ['host', 'user', 'address', 'hash', 'domain', 'file', 'process'] as const

export type EntityKind = (typeof ENTITY_KINDS)[number]

export interface EntityKey {
  kind: EntityKind
  value: string
}

function isKind(kind: string): kind is EntityKind {
  return (ENTITY_KINDS as readonly string[]).includes(kind)
}

/** An entity whose kind we do not know cannot be looked up: undefined. */
export function entityOf(kind: string, value: string): EntityKey | undefined {
  return isKind(kind) && value !== '' ? { kind, value } : undefined
}

export function entityKey({ kind, value }: EntityKey): string {
  return `${kind}:${value}`
}

export function parseEntityKey(text: unknown): EntityKey | undefined {
  if (typeof text !== 'string') return undefined
  const at = text.indexOf(':')
  return at === -1 ? undefined : entityOf(text.slice(0, at), text.slice(at + 1))
}

/** The OCSF paths under which events name such a thing: each is one pivot to search. */
export const SEARCH_PATHS: Record<EntityKind, readonly string[]> = {
  address: ['src_endpoint.ip', 'dst_endpoint.ip', 'device.ip'],
  host: ['device.hostname', 'src_endpoint.hostname', 'dst_endpoint.hostname'],
  user: ['actor.user.name', 'user.name'],
  hash: ['process.file.hashes.value', 'file.hashes.value'],
  domain: ['query.hostname', 'http_request.url.hostname'],
  file: ['file.path'],
  process: ['process.file.path'],
}

/** The value as events hold it: a user's domain stands in a field of its own. */
export function searchValue({ kind, value }: EntityKey): string {
  return kind === 'user' ? (value.split('\\').at(-1) ?? value) : value
}
