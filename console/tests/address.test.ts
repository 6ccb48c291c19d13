import { describe, expect, it } from 'vitest'
import type { LocationQuery } from 'vue-router'
import { entityKey, parseEntityKey, searchValue, SEARCH_PATHS, ENTITY_KINDS } from '@/lib/entities'
import { boundsOf, queryOfRange, rangeOfQuery } from '@/lib/range'
import { safeNext } from '@/router'

const NOW = Date.UTC(2026, 10, 22, 12)

describe('a time range in the address', () => {
  it('reads back what it wrote', () => {
    for (const range of [{ last: '6h' as const }, { from: NOW - 1000, to: NOW }]) {
      const query = JSON.parse(JSON.stringify(queryOfRange(range))) as LocationQuery
      expect(rangeOfQuery(query, '24h')).toEqual(range)
    }
  })

  it('falls back when it cannot be read', () => {
    const broken: LocationQuery[] = [{}, { last: 'ever' }, { from: 'x', to: 'y' }, { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }]
    for (const query of broken) expect(rangeOfQuery(query, '24h')).toEqual({ last: '24h' })
  })

  it('counts a last span from now', () => {
    expect(boundsOf({ last: '1h' }, NOW)).toEqual({ from: NOW - 3_600_000, to: NOW })
  })
})

describe('an entity in the address', () => {
  it('reads back what it wrote, colons in the value included', () => {
    for (const value of ['2001:db8::1', 'oa\\zhang', 'C:\\Windows\\System32\\cmd.exe']) {
      expect(parseEntityKey(entityKey({ kind: 'address', value }))).toEqual({ kind: 'address', value })
    }
  })

  it('is none when the kind is unknown or the value missing', () => {
    for (const text of ['planet:mars', 'address:', 'address', undefined, ['address:1', 'address:2']]) {
      expect(parseEntityKey(text)).toBeUndefined()
    }
  })

  it('can be searched for, whatever its kind', () => {
    for (const kind of ENTITY_KINDS) expect(SEARCH_PATHS[kind].length).toBeGreaterThan(0)
    expect(searchValue({ kind: 'user', value: 'oa\\zhang' })).toBe('zhang')
  })
})

describe('where to go after logging in', () => {
  it.each([
    ['/incidents/1?alert=2', '/incidents/1?alert=2'],
    ['//evil.example/x', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    [undefined, '/'],
  ])('%j goes to %s', (next, target) => {
    expect(safeNext(next)).toBe(target)
  })
})
