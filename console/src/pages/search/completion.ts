/** What may be written next at a place of a query, and how to put it there. The server has the last word on the language. */

export interface Place {
  kind: 'field' | 'value'
  /** What has been written of it. */
  typed: string
  /** Where it begins in the query. */
  from: number
  /** The field whose value it is. */
  field?: string
}

const QUOTES: Record<string, string> = { '"': '"', "'": "'", '“': '”' }

/** What stands at the caret; undefined within quotes and after what ends a condition. */
export function placeAt(query: string, caret: number): Place | undefined {
  let from = 0
  let quote = ''
  for (let at = 0; at < caret; at += 1) {
    const character = query.charAt(at)
    if (quote) {
      if (character === '\\') at += 1
      else if (character === quote) quote = ''
    } else if (QUOTES[character]) quote = QUOTES[character]
    else if (/[\s(（]/.test(character)) from = at + 1
  }
  const word = query.slice(from, caret)
  const named = /^[-!]?([^\s:：=<>!"']+)(?::|：|!=|=)(["“]?)(.*)$/su.exec(word)
  if (named) {
    const [, field = '', , typed = ''] = named
    const begin = from + word.length - typed.length - (named[2]?.length ?? 0)
    return { kind: 'value', typed, from: begin, field }
  }
  if (quote) return undefined
  const negated = /^[-!](?=\S)/.test(word) ? 1 : 0
  return { kind: 'field', typed: word.slice(negated), from: from + negated }
}

/** A value as it stands behind a field's colon, whatever is in it. */
export function quoted(value: string): string {
  if (/^[\p{L}\p{N}_.@/+-]+$/u.test(value) && !/^(and|or|not)$/i.test(value)) return value
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/** The query with `text` in the place of what stands between, and where the caret goes. */
export function replaced(query: string, from: number, to: number, text: string): { query: string; caret: number } {
  return { query: query.slice(0, from) + text + query.slice(to), caret: from + text.length }
}

/** Narrowed by one more condition, which must hold beside all that was asked. */
export function narrowed(query: string, path: string, value: string, excluded = false): string {
  const condition = `${excluded ? 'not ' : ''}${path}:${quoted(value)}`
  const asked = query.trim()
  if (asked === '' || asked === '*') return condition
  if (asked.split(' and ').includes(condition)) return asked
  const outside = asked.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|“[^”]*”/gs, ' ')
  return /(^|[\s)）])(or|\|\|)([\s(（]|$)/i.test(outside) ? `(${asked}) and ${condition}` : `${asked} and ${condition}`
}

/** Older addresses carry conditions of equality apart (`where=path:value`). */
export function withConditions(query: string, where: readonly string[]): string {
  return where.reduce((asked, condition) => {
    const at = condition.indexOf(':')
    return at > 0 ? narrowed(asked, condition.slice(0, at), condition.slice(at + 1)) : asked
  }, query)
}
