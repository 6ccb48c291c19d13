import { describe, expect, it } from 'vitest'
import { narrowed, placeAt, quoted, replaced, withConditions } from '@/pages/search/completion'

/** The place at `|`. */
function at(marked: string) {
  const caret = marked.indexOf('|')
  return placeAt(marked.replace('|', ''), caret)
}

describe('what is being written', () => {
  it('is a field until its colon, then its value', () => {
    expect(at('us|')).toEqual({ kind: 'field', typed: 'us', from: 0 })
    expect(at('a:b and (-us|')).toEqual({ kind: 'field', typed: 'us', from: 10 })
    expect(at('用户：王|')).toEqual({ kind: 'value', typed: '王', from: 3, field: '用户' })
    expect(at('user:| x')).toEqual({ kind: 'value', typed: '', from: 5, field: 'user' })
    expect(at('user!=ro|')).toEqual({ kind: 'value', typed: 'ro', from: 6, field: 'user' })
    expect(at('cmd:"who am|')).toEqual({ kind: 'value', typed: 'who am', from: 4, field: 'cmd' })
    expect(at('cmd:"who|')).toEqual({ kind: 'value', typed: 'who', from: 4, field: 'cmd' })
    expect(at('"not a field|')).toBeUndefined()
    expect(at('"a:b" us|')).toEqual({ kind: 'field', typed: 'us', from: 6 })
  })

  it('is replaced where it stands', () => {
    expect(replaced('a and us b', 6, 8, 'user:')).toEqual({ query: 'a and user: b', caret: 11 })
  })
})

describe('a clicked value', () => {
  it('is quoted where it needs to be', () => {
    expect(quoted('10.0.0.1')).toBe('10.0.0.1')
    expect(quoted('C:\\a "b"')).toBe('"C:\\\\a \\"b\\""')
    expect(quoted('or')).toBe('"or"')
    expect(quoted('a*')).toBe('"a*"')
    expect(quoted('fe80::1')).toBe('"fe80::1"')
  })

  it('narrows all that was asked, once', () => {
    expect(narrowed('', 'user.name', 'root')).toBe('user.name:root')
    expect(narrowed('a', 'x', 'b c', true)).toBe('a and not x:"b c"')
    expect(narrowed('a or b', 'x', '1')).toBe('(a or b) and x:1')
    expect(narrowed('"a or b"', 'x', '1')).toBe('"a or b" and x:1')
    expect(narrowed('a and x:1', 'x', '1')).toBe('a and x:1')
  })

  it('is read from older addresses', () => {
    expect(withConditions('', ['src_endpoint.ip:fe80::1', 'source:a'])).toBe('src_endpoint.ip:"fe80::1" and source:a')
    expect(withConditions('x', [])).toBe('x')
  })
})
