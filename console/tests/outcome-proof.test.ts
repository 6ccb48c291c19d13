import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { outcomeProof } from '@/lib/outcome-proof'

/** The sentences detection can say, out of its source, with the parameters filled in. */
const sentences = [...readFileSync('../crates/detect/src/engine/verdict.rs', 'utf8').matchAll(/"(the [^"]+)"/g)].map(([, said = '']) =>
  said.replace('{code}', '200').replace('{action}', 'blocked'),
)

describe('why an outcome is what it is', () => {
  it('is said in Chinese for every sentence that detection knows', () => {
    expect(sentences.length).toBeGreaterThan(3)
    for (const said of sentences) expect(outcomeProof(said, 'zh-CN'), said).toMatch(/^[^a-z]*(200|blocked)?[^a-z]*$/)
  })

  it('stays as it came in English, or when it is not known', () => {
    for (const said of sentences) expect(outcomeProof(said, 'en')).toBe(said)
    expect(outcomeProof('something new', 'zh-CN')).toBe('something new')
  })
})
