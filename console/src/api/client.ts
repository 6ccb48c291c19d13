/** Calls to the origin the console came from, typed by the server's OpenAPI document. Every failure is a Problem. */
import createClient from 'openapi-fetch'
import type { Finding, OcsfEvent } from './ocsf'
import { Problem, type ProblemDocument } from './problem'
import type { operations, paths } from './schema'
import type { IncidentState, NewSuppression } from './types'

const client = createClient<paths>({
  credentials: 'same-origin',
  // Looked up at each call, not at import.
  fetch: (request: Request) => globalThis.fetch(request),
})

client.use({
  onRequest({ request }) {
    // A header of our own forces a preflight on cross-site requests: the server's guard against forged ones.
    if (request.method !== 'GET') request.headers.set('X-Wanglou-CSRF', '1')
  },
  onError: () => new Problem(0, {}),
})

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

async function answered<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call
  if (!response.ok) throw new Problem(response.status, isDocument(error) ? error : {})
  return data as T
}

function isDocument(value: unknown): value is ProblemDocument {
  return typeof value === 'object' && value !== null
}

type QueryOf<Name extends keyof operations> = NonNullable<operations[Name]['parameters']['query']>

export type EventQuery = Pick<QueryOf<'search_events'>, 'from' | 'to' | 'q'>

export const api = {
  setupNeeded: () => answered(client.GET('/api/v1/setup')),
  setUp: (body: { token: string; username: string; password: string }) => answered(client.POST('/api/v1/setup', { body })),
  session: () => answered(client.GET('/api/v1/session')),
  logIn: (body: { username: string; password: string }) => answered(client.POST('/api/v1/session', { body })),
  logOut: () => answered(client.DELETE('/api/v1/session')),
  health: () => answered(client.GET('/api/v1/health')),

  overview: (query: QueryOf<'overview'>) => answered(client.GET('/api/v1/overview', { params: { query } })),

  async findings(query: QueryOf<'list_findings'>) {
    const page = await answered(client.GET('/api/v1/findings', { params: { query } }))
    return { ...page, findings: page.findings as Finding[] }
  },
  finding: async (uid: string) => (await answered(client.GET('/api/v1/findings/{uid}', { params: { path: { uid } } }))) as Finding,

  incidents: (query: QueryOf<'list_incidents'>) => answered(client.GET('/api/v1/incidents', { params: { query } })),
  async incident(id: string) {
    const story = await answered(client.GET('/api/v1/incidents/{id}', { params: { path: { id } } }))
    return { ...story, findings: story.findings as Finding[] }
  },
  changeState: (id: string, body: { state: IncidentState; note: string }) =>
    answered(client.POST('/api/v1/incidents/{id}/state', { params: { path: { id } }, body })),
  addNote: (id: string, text: string) =>
    answered(client.POST('/api/v1/incidents/{id}/notes', { params: { path: { id } }, body: { text } })),

  async events(query: QueryOf<'search_events'>) {
    const page = await answered(client.GET('/api/v1/events', { params: { query } }))
    return { ...page, events: page.events as OcsfEvent[] }
  },
  event: async (uid: string) => (await answered(client.GET('/api/v1/events/{uid}', { params: { path: { uid } } }))) as OcsfEvent,
  eventHistogram: (query: QueryOf<'event_histogram'>) => answered(client.GET('/api/v1/events/histogram', { params: { query } })),
  searchFields: () => answered(client.GET('/api/v1/events/fields')),
  eventTop: (query: QueryOf<'top_values'>) => answered(client.GET('/api/v1/events/top', { params: { query } })),

  rules: () => answered(client.GET('/api/v1/rules')),
  reloadRules: () => answered(client.POST('/api/v1/rules/reload')),
  suppressions: () => answered(client.GET('/api/v1/suppressions')),
  async previewSuppression(body: NewSuppression) {
    const preview = await answered(client.POST('/api/v1/suppressions/preview', { body }))
    return { ...preview, findings: preview.findings as Finding[] }
  },
  createSuppression: (body: NewSuppression) => answered(client.POST('/api/v1/suppressions', { body })),
  revokeSuppression: (id: string) => answered(client.DELETE('/api/v1/suppressions/{id}', { params: { path: { id } } })),

  sources: () => answered(client.GET('/api/v1/sources')),
  createSource: (name: string) => answered(client.POST('/api/v1/sources', { body: { name } })),
  deleteSource: (name: string) => answered(client.DELETE('/api/v1/sources/{name}', { params: { path: { name } } })),
  ledger: () => answered(client.GET('/api/v1/ledger')),
  ledgerHours: (query: QueryOf<'ledger_hours'>) => answered(client.GET('/api/v1/ledger/hours', { params: { query } })),
  deadLetters: (query: QueryOf<'dead_letters'>) => answered(client.GET('/api/v1/dead-letters', { params: { query } })),
}
