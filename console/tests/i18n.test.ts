import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { en } from '@/i18n/en'
import { zhCN } from '@/i18n/zh-CN'
import { ENTITY_KINDS } from '@/lib/entities'
import { SEVERITIES } from '@/lib/severity'
import { INCIDENT_STATES } from '@/api/types'

function keys(messages: object, path = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(messages)) {
    const at = path ? `${path}.${key}` : key
    if (typeof value === 'string') found.set(at, value)
    else for (const [inner, text] of keys(value as object, at)) found.set(inner, text)
  }
  return found
}

function parameters(text: string | undefined): (string | undefined)[] {
  return [...new Set([...(text ?? '').matchAll(/\{(\w+)\}/g)].map(([, name]) => name))].toSorted()
}

const zh = keys(zhCN)
const english = keys(en)

/** Latin words that are right in Chinese text: names of things, units, field paths, keys. */
const LATIN_IN_CHINESE = /\b(?:English|ATT&CK|OCSF|JSON|HTTP|Syslog|UDP|TCP|HTTP|src_endpoint\.ip)\b/g

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) return sources(path)
    return /\.(vue|ts)$/.test(name) ? [readFileSync(path, 'utf8')] : []
  })
}

describe('messages', () => {
  it('have the same keys in both languages', () => {
    expect([...zh.keys()].toSorted()).toEqual([...english.keys()].toSorted())
  })

  it('take the same parameters in both languages', () => {
    for (const [key, text] of zh) expect(parameters(english.get(key)), key).toEqual(parameters(text))
  })

  it('do not mix languages', () => {
    for (const [key, text] of english) {
      if (key !== 'account.otherLanguage') expect(text, key).not.toMatch(/\p{Script=Han}/u)
    }
    for (const [key, text] of zh) {
      if (key === 'account.otherLanguage') continue
      const rest = text.replaceAll(/\{\w+\}/g, '').replaceAll(LATIN_IN_CHINESE, '')
      expect(rest, key).not.toMatch(/[A-Za-z]{2,}/)
    }
  })

  it('never call an incident a bare 事件', () => {
    // 事发 and 安全事件 are meant; 事件 alone could be a log or an incident.
    for (const [key, text] of zh) expect(text.replaceAll('安全事件', ''), key).not.toContain('事件')
  })

  it('exist for every key the code names', () => {
    for (const source of sources('src')) {
      for (const [, key = ''] of source.matchAll(/\bt\('([\w.-]+)'/g)) expect(zh.has(key), key).toBe(true)
    }
  })

  it('exist for every name the code composes', () => {
    const composed = [
      ...SEVERITIES.map((name) => `severity.${name}`),
      ...INCIDENT_STATES.flatMap((name) => [`state.${name}`]),
      ...INCIDENT_STATES.slice(1).flatMap((name) => [`act.means.${name}`, `act.to.${name}`]),
      ...ENTITY_KINDS.map((name) => `entity.${name}`),
    ]
    for (const key of composed) expect(zh.has(key), key).toBe(true)
  })
})
