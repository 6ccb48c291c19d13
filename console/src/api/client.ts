/** Calls to `/api/v1` of the origin the console came from. Every failure is a Problem. */
import { Problem, type ProblemDocument } from './problem'
import type { Finding, OcsfEvent } from './ocsf'
import type {
  DeadLetter,
  EventPage,
  FindingPage,
  Health,
  Histogram,
  IncidentStory,
  IncidentPage,
  IncidentState,
  LedgerLine,
  Overview,
  Source,
  User,
} from './types'

const BASE = '/api/v1'

type Parameters = Record<string, string | number | readonly string[] | undefined>

function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === '') continue
    if (Array.isArray(value)) for (const one of value) query.append(name, one)
    else query.append(name, String(value))
  }
  const text = query.toString()
  return `${BASE}/${path}${text ? `?${text}` : ''}`
}

async function call<T>(method: string, url: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  // A header of our own forces a preflight on cross-site requests: the server's guard against forged ones.
  if (method !== 'GET') headers['X-Wanglou-CSRF'] = '1'
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(url, {
      method,
      headers,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch {
    throw new Problem(0, {})
  }
  const text = await response.text()
  const content: unknown = parse(text)
  if (!response.ok) throw new Problem(response.status, isDocument(content) ? content : {})
  return content as T
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

function isDocument(value: unknown): value is ProblemDocument {
  return typeof value === 'object' && value !== null
}

const get = <T>(path: string, parameters?: Parameters) => call<T>('GET', address(path, parameters))
const post = <T>(path: string, body: unknown) => call<T>('POST', address(path), body)

export interface TimeBounds {
  from?: string
  to?: string
}

export interface EventQuery extends TimeBounds {
  where?: readonly string[]
}

export const api = {
  setupNeeded: () => get<{ needed: boolean }>('setup'),
  setUp: (body: { token: string; username: string; password: string }) => post<unknown>('setup', body),
  session: () => get<{ user: User }>('session'),
  logIn: (body: { username: string; password: string }) => post<unknown>('session', body),
  logOut: () => call<unknown>('DELETE', address('session')),
  health: () => get<Health>('health'),

  overview: (query: TimeBounds) => get<Overview>('overview', { ...query }),

  findings: (
    query: TimeBounds & { severity?: string; rule?: string; incident?: string; entity?: string; limit?: number; cursor?: string },
  ) => get<FindingPage>('findings', { ...query }),
  finding: (uid: string) => get<Finding>(`findings/${encodeURIComponent(uid)}`),

  incidents: (query: { state?: string; severity?: string; limit?: number; cursor?: string }) =>
    get<IncidentPage>('incidents', { ...query }),
  incident: (id: string) => get<IncidentStory>(`incidents/${encodeURIComponent(id)}`),
  changeState: (id: string, body: { state: IncidentState; note: string }) =>
    post<unknown>(`incidents/${encodeURIComponent(id)}/state`, body),
  addNote: (id: string, text: string) => post<unknown>(`incidents/${encodeURIComponent(id)}/notes`, { text }),

  events: (query: EventQuery & { limit?: number; cursor?: string }) => get<EventPage>('events', { ...query }),
  event: (uid: string) => get<OcsfEvent>(`events/${encodeURIComponent(uid)}`),
  eventHistogram: (query: EventQuery & { buckets?: number }) => get<Histogram>('events/histogram', { ...query }),
  eventTop: (query: EventQuery & { field: string; n?: number }) =>
    get<{ values: { value: string; count: number }[] }>('events/top', { ...query }),

  sources: () => get<{ sources: Source[] }>('sources'),
  createSource: (name: string) => post<{ source: Source; token: string }>('sources', { name }),
  deleteSource: (name: string) => call<unknown>('DELETE', address(`sources/${encodeURIComponent(name)}`)),
  ledger: () => get<{ sources: LedgerLine[] }>('ledger'),
  deadLetters: (query: { source?: string; limit?: number }) => get<{ dead_letters: DeadLetter[]; total: number }>('dead-letters', query),
}
