/** The form of a suppression: conditions as people write them, one a line. */

/** What a condition may speak of beside `field.NAME` and `group.NAME`; the server's rule. */
const ENTITIES = ['address', 'user', 'host', 'domain', 'file', 'process', 'hash']
const SUBJECTS = new Set([
  ...ENTITIES.flatMap((kind) => [kind, `actor.${kind}`, `target.${kind}`]),
  'source',
  'product',
])

/** The same, as a reader is told. */
export const SUBJECT_FORMS = `[actor.|target.]${ENTITIES.join('|')}  source  product  field.NAME  group.NAME`

export interface Conditions {
  when: Record<string, string[]>
  /** Lines that say nothing the platform understands, by number from 1. */
  wrong: { line: number; text: string }[]
}

/** Reads `address = 10.0.0.1, 10.0.0.2` lines. Two lines of one subject add up. */
export function readConditions(text: string): Conditions {
  const conditions: Conditions = { when: {}, wrong: [] }
  for (const [index, line] of text.split('\n').entries()) {
    const written = line.trim()
    if (!written) continue
    const [name = '', ...rest] = written.split('=')
    const subject = name.trim()
    const values = rest.join('=').split(',').map((value) => value.trim()).filter(Boolean)
    const isKnown = SUBJECTS.has(subject) || /^(field|group)\.\S+$/.test(subject)
    if (!isKnown || values.length === 0) conditions.wrong.push({ line: index + 1, text: written })
    else conditions.when[subject] = [...(conditions.when[subject] ?? []), ...values]
  }
  return conditions
}

/** The same, to be read: one text for each condition. */
export function writeConditions(when: Record<string, readonly string[]>): string[] {
  return Object.entries(when).map(([subject, values]) => `${subject} = ${values.join(', ')}`)
}
