/** Errors as the server words them: RFC 9457 problem documents, in both languages. */

export interface ProblemDocument {
  type?: string
  title?: string
  status?: number
  detail?: string
  instance?: string
  title_zh?: string
  detail_zh?: string
  /** What of a query is wrong, in characters. */
  position?: { start: number; end: number }
}

export type ProblemKind = 'offline' | 'unauthenticated' | 'forbidden' | 'missing' | 'limited' | 'invalid' | 'server'

/** A failed call: what the server said, or that it could not be reached. */
export class Problem extends Error {
  readonly kind: ProblemKind
  readonly status: number
  readonly document: ProblemDocument

  constructor(status: number, document: ProblemDocument) {
    super(document.detail ?? document.title ?? `HTTP ${status}`)
    this.name = 'Problem'
    this.status = status
    this.document = document
    this.kind = kindOf(status)
  }

  /** The server's own words in the language of the screen; empty when it sent none. */
  words(locale: string): { title: string; detail: string } {
    const { title = '', detail = '', title_zh = '', detail_zh = '' } = this.document
    return locale.startsWith('zh') ? { title: title_zh || title, detail: detail_zh || detail } : { title, detail }
  }
}

function kindOf(status: number): ProblemKind {
  if (status === 0) return 'offline'
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'missing'
  if (status === 429) return 'limited'
  return status >= 500 ? 'server' : 'invalid'
}

/** Any thrown value as a problem; network failures have status 0. */
export function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, {})
}
