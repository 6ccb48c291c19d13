import { describe, expect, it } from 'vitest'
import { readConditions, writeConditions } from '@/lib/suppression'

describe('the conditions of a suppression', () => {
  it('are read line by line and written back', () => {
    const { when, wrong } = readConditions('actor.address = 10.0.0.0/8, fe80::/10\n\n host=scan-*\nfield.CommandLine = a=b\nhost = other')
    expect(wrong).toEqual([])
    expect(when).toEqual({ 'actor.address': ['10.0.0.0/8', 'fe80::/10'], host: ['scan-*', 'other'], 'field.CommandLine': ['a=b'] })
    expect(writeConditions(when)[1]).toBe('host = scan-*, other')
  })

  it('say which line is not understood', () => {
    const { when, wrong } = readConditions('adress = 10.0.0.1\nhost =\nfield. = x\nuser')
    expect(when).toEqual({})
    expect(wrong.map(({ line }) => line)).toEqual([1, 2, 3, 4])
  })
})
