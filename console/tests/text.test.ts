import { describe, expect, it } from 'vitest'
import { highlightRuns, patternLiterals, visibleRuns, visibleText } from '@/lib/text'

const hits = (value: string, needles: string[]) =>
  highlightRuns(value, needles)
    .filter(({ hit }) => hit)
    .map(({ text }) => text)

describe('hidden characters', () => {
  it.each([
    ['\u202e', 'U+202E'],
    ['\u0000', 'U+0000'],
    ['\u001b', 'U+001B'],
    ['\u200b', 'U+200B'],
    ['\u2066', 'U+2066'],
    ['\ufeff', 'U+FEFF'],
    ['\u{e0041}', 'U+E0041'],
    ['\r', 'U+000D'],
  ])('%j is shown as its code', (character, code) => {
    expect(visibleRuns(`a${character}b`)).toEqual([{ text: 'a' }, { text: character, code }, { text: 'b' }])
  })

  it('leaves ordinary text whole', () => {
    for (const text of ['查询串中的 SQL 注入\n\t', 'naïve 日本語 😀', '<script>alert(1)</script>']) {
      expect(visibleRuns(text)).toEqual([{ text }])
    }
    expect(visibleRuns('')).toEqual([])
  })

  it('loses nothing', () => {
    const value = 'x\u202egnp.exe\u0000\u0000y'
    expect(visibleRuns(value).map(({ text }) => text).join('')).toBe(value)
    expect(visibleText('a\u202eb')).toBe('a⟨U+202E⟩b')
  })
})

describe('marking what the rule asked for', () => {
  it('marks every occurrence without regard to case, overlaps once', () => {
    expect(hits('Union union', ['UNION'])).toEqual(['Union', 'union'])
    expect(hits('abcdef', ['abcd', 'cdef'])).toEqual(['abcdef'])
  })

  it('keeps hidden characters visible inside a mark', () => {
    expect(highlightRuns('a\u202eb', ['a\u202eb'])).toEqual([
      { text: 'a', hit: true },
      { text: '\u202e', code: 'U+202E', hit: true },
      { text: 'b', hit: true },
    ])
  })

  it('marks nothing where lower case has another length', () => {
    expect(hits('İcmd', ['cmd'])).toEqual([])
  })
})

describe('the literals of a pattern', () => {
  it.each([
    ["Image|endswith: '\\cmd.exe'", ['\\cmd.exe']],
    ['cs-uri-query|contains: "UNION SELECT"', ['UNION SELECT']],
    ['sc-status: 404', ['404']],
    ["CommandLine: '*-enc*'", ['-enc']],
    ["CommandLine: 'a?b'", ['a', 'b']],
    ["query|re: '^[a-f0-9]{24}'", []],
    ["src_ip|cidr: '10.0.0.0/8'", []],
    ['x|contains: a:b', ['a:b']],
  ])('%s', (pattern, literals) => {
    expect(patternLiterals(pattern)).toEqual(literals)
  })
})
