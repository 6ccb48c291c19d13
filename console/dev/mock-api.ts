/** A Vite plugin that answers `/api/v1` from the invented scenario, so that components can be worked on without a server. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Plugin } from 'vite'
import { CASES, eventOf, findingOf, NOISE, SEVERITY_IDS, TACTICS, type Case, type Entity, type Told } from './scenario.ts'

const START = Date.now()
const SEVERITY_NAMES = Object.keys(SEVERITY_IDS) as (keyof typeof SEVERITY_IDS)[]
const SOURCES = [
  ['zwy-nginx', 'http', 8_412_907, 12],
  ['waf-modsec', 'http', 1_204_551, 0],
  ['syslog', 'syslog-udp', 3_310_842, 418],
  ['evtx-collector', 'folder', 902_117, 3],
  ['suricata', 'http', 12_044_310, 0],
  ['gjj-db-audit', 'http', 0, 0],
] as const

const iso = (time: number) => new Date(time).toISOString()
const all: { told: Told; incident?: string }[] = [
  ...CASES.flatMap(({ id, tells }) => tells.map((told) => ({ told, incident: id }))),
  ...NOISE.map((told) => ({ told })),
]
const findings = all.map(({ told, incident }) => findingOf(told, START, incident)).toSorted((a, b) => b.time - a.time)
const events = [...CASES.flatMap(({ tells }) => tells), ...NOISE].map((told) => eventOf(told, START)).toSorted((a, b) => b.time - a.time)
let isLoggedIn = true
const states = new Map(CASES.map(({ id, state }) => [id, state]))
const added = new Map<string, { at: string; by: string; kind: string; from?: string; to?: string; note?: string }[]>()

function entitiesOf(one: Case) {
  const counted = new Map<string, Entity & { findings: number }>()
  for (const entity of one.tells.flatMap(({ entities }) => entities)) {
    const key = `${entity.kind}:${entity.value}`
    const known = counted.get(key)
    counted.set(key, known ? { ...known, findings: known.findings + 1 } : { ...entity, findings: 1 })
  }
  return [...counted.values()].toSorted((a, b) => b.findings - a.findings)
}

function tacticOf(uid: string) {
  const [name = '', name_zh = ''] = TACTICS[uid] ?? []
  return { uid, name, name_zh }
}

function tacticsOf(one: Case) {
  const seen = new Set(one.tells.map(({ rule }) => rule.tactic))
  return Object.keys(TACTICS).filter((uid) => seen.has(uid)).map(tacticOf)
}

function severityOf(one: Case): string {
  const id = Math.max(...one.tells.map(({ rule }) => SEVERITY_IDS[rule.severity]))
  return SEVERITY_NAMES[id - 1] ?? 'low'
}

function incidentOf(one: Case) {
  const times = one.tells.map(({ ago }) => START - ago * 60_000)
  const opened = { at: iso(Math.min(...times) + 2_000), by: 'system', kind: 'opened' }
  const notes = one.notes.map(({ minutesAgo, ...rest }) => ({ at: iso(START - minutesAgo * 60_000), ...rest }))
  return {
    id: one.id,
    title: one.title,
    title_zh: one.title_zh,
    severity: severityOf(one),
    state: states.get(one.id) ?? 'new',
    opened: opened.at,
    updated: iso(Math.max(...times)),
    first_seen: iso(Math.min(...times)),
    last_seen: iso(Math.max(...times)),
    finding_count: one.tells.length,
    event_count: one.tells.reduce((sum, { count }) => sum + (count ?? 1), 0),
    entities: entitiesOf(one),
    tactics: tacticsOf(one),
    history: [opened, ...notes, ...(added.get(one.id) ?? [])],
  }
}

function storyOf(one: Case) {
  const incident = incidentOf(one)
  const own = findings.filter(({ unmapped }) => unmapped.incident === one.id)
  const timeline = [
    ...own.map((finding) => ({
      at: iso(finding.start_time),
      kind: 'finding',
      title: finding.finding_info.title,
      title_zh: finding.unmapped.title_zh,
      severity: SEVERITY_NAMES[finding.severity_id - 1],
      finding_uid: finding.finding_info.uid,
      count: finding.count,
    })),
    ...incident.history.map((change) => ({ at: change.at, kind: 'change', change })),
  ].toSorted((a, b) => a.at.localeCompare(b.at))
  const attack_path = incident.tactics.map((tactic) => {
    const tells = one.tells.filter(({ rule }) => rule.tactic === tactic.uid)
    const times = tells.map(({ ago }) => START - ago * 60_000)
    const techniques = new Map(tells.map(({ rule }) => (rule.sub ?? rule.technique)).map(([uid, name]) => [uid, { uid, name }]))
    return { tactic, techniques: [...techniques.values()], findings: tells.length, first_seen: iso(Math.min(...times)), last_seen: iso(Math.max(...times)) }
  })
  return { incident, findings: own, timeline, attack_path }
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1
  return counts
}

function histogram(query: URLSearchParams, level: number) {
  const from = Date.parse(query.get('from') ?? iso(START - 86_400_000))
  const to = Date.parse(query.get('to') ?? iso(START))
  const count = Number(query.get('buckets') ?? 60)
  const bucket_ms = Math.ceil((to - from) / count)
  const buckets = Array.from({ length: count }, (_, index) => {
    const time = from + index * bucket_ms
    const hour = new Date(time + 8 * 3_600_000).getUTCHours()
    const day = hour > 7 && hour < 19 ? 1 : 0.35
    const wobble = 1 + 0.22 * Math.sin(index * 1.7) + 0.12 * Math.sin(index * 5.3)
    const total = Math.round(level * day * wobble * (bucket_ms / 1_440_000))
    return { time: iso(time), count: total }
  })
  return { bucket_ms, buckets }
}

function sourceList() {
  return SOURCES.map(([name, kind, received]) => ({
    name,
    kind,
    created: iso(START - 40 * 86_400_000),
    last_seen: received === 0 ? null : iso(Date.now() - (name === 'evtx-collector' ? 47 * 60_000 : 900)),
    received,
  }))
}

function findingHistogram({ bucket_ms, buckets }: ReturnType<typeof histogram>) {
  const inside = (start: number) => findings.filter(({ time }) => time >= start && time < start + bucket_ms).length
  return { bucket_ms, buckets: buckets.map(({ time }) => ({ time, count: inside(Date.parse(time)) })) }
}

function severityName({ severity_id }: { severity_id: number }): string {
  return SEVERITY_NAMES[severity_id - 1] ?? 'low'
}

function worst<T extends { findings: number }>(items: Iterable<T>): T[] {
  return [...items].toSorted((a, b) => b.findings - a.findings).slice(0, 6)
}

function overview(query: URLSearchParams) {
  const rules = new Map<string, { id: string; title: string; title_zh: string; severity: string; findings: number }>()
  for (const { told } of all) {
    const { id, title, title_zh, severity } = told.rule
    rules.set(id, { id, title, title_zh, severity, findings: (rules.get(id)?.findings ?? 0) + 1 })
  }
  const things = new Map<string, { kind: string; value: string; findings: number }>()
  for (const { kind, value } of all.flatMap(({ told }) => told.entities)) {
    things.set(`${kind}:${value}`, { kind, value, findings: (things.get(`${kind}:${value}`)?.findings ?? 0) + 1 })
  }
  const counted = histogram(query, 52_000)
  return {
    events: { total: counted.buckets.reduce((sum, { count }) => sum + count, 0), per_second: 31.4, histogram: counted },
    findings: {
      total: findings.length,
      by_severity: countBy(findings, severityName),
      by_tactic: Object.keys(TACTICS)
        .map((uid) => ({ tactic: tacticOf(uid), findings: all.filter(({ told }) => told.rule.tactic === uid).length }))
        .filter((row) => row.findings > 0),
      histogram: findingHistogram(counted),
    },
    correlation: { groups: 1_204, bytes: 512_000, waiting: 3, evicted: 0, late: 0, hurried: 0, windows_lost: 0, save_failures: 0, saved_at: null },
    incidents: { open: CASES.length, by_severity: countBy(CASES, severityOf) },
    top_entities: worst(things.values()),
    top_rules: worst(rules.values()),
    sources: sourceList(),
  }
}

function findingPage(query: URLSearchParams) {
  const severities = (query.get('severity') ?? '').split(',').filter(Boolean)
  const entity = query.get('entity')
  const from = Date.parse(query.get('from') ?? '') || 0
  const found = findings.filter(
    (finding) =>
      finding.time >= from &&
      (severities.length === 0 || severities.includes(SEVERITY_NAMES[finding.severity_id - 1] ?? '')) &&
      (!query.get('rule') || finding.finding_info.analytic.uid === query.get('rule')) &&
      (!entity || finding.observables.some(({ name, value }) => `${name}:${value}` === entity)),
  )
  return { findings: found.slice(0, Number(query.get('limit') ?? 100)), next_cursor: null }
}

function incidentPage(query: URLSearchParams) {
  const incidents = CASES.map(incidentOf)
  const wanted = (query.get('state') ?? '').split(',').filter(Boolean)
  const severities = (query.get('severity') ?? '').split(',').filter(Boolean)
  return {
    incidents: incidents.filter(({ state, severity }) => (wanted.length === 0 || wanted.includes(state)) && (severities.length === 0 || severities.includes(severity))),
    next_cursor: null,
    counts: { by_state: countBy(incidents, ({ state }) => state), by_severity: countBy(incidents, ({ severity }) => severity) },
  }
}

function eventPage(query: URLSearchParams) {
  const from = Date.parse(query.get('from') ?? '') || 0
  const values = (query.get('q') ?? '').split(' and ').map((condition) => condition.slice(condition.indexOf(':') + 1).replaceAll('"', ''))
  const found = events.filter((event) => event.time >= from && values.every((value) => JSON.stringify(event).includes(value)))
  return { events: found, next_cursor: null, took_ms: 37 }
}

function top(query: URLSearchParams) {
  const field = query.get('field') ?? ''
  const values: Record<string, [string, number][]> = {
    source: SOURCES.filter(([, , received]) => received > 0).map(([name, , received]) => [name, Math.round(received / 12)]),
    class_uid: [['4002', 812_004], ['4001', 402_113], ['3002', 120_447], ['1007', 60_213]],
    'src_endpoint.ip': [['10.18.4.22', 84_112], ['203.0.113.77', 9_412], ['198.51.100.23', 1_284], ['2001:db8:18::22', 911]],
  }
  return { values: (values[field] ?? []).map(([value, count]) => ({ value, count })) }
}

const GET: Record<string, (query: URLSearchParams) => unknown> = {
  setup: () => ({ needed: false }),
  session: () => ({ user: { name: 'zhangwei', role: 'administrator' } }),
  health: () => ({ status: 'ready', version: '0.1.0', uptime_s: 86_400 }),
  overview,
  findings: findingPage,
  incidents: incidentPage,
  events: eventPage,
  'events/histogram': (query) => histogram(query, 52_000),
  'events/top': top,
  'events/fields': () => [
    { names: ['src_ip', '源地址'], paths: ['src_endpoint.ip'] },
    { names: ['user', '用户'], paths: ['user.name', 'actor.user.name'] },
  ],
  sources: () => ({ sources: sourceList() }),
  ledger: () => ({
    sources: SOURCES.map(([source, , received, rejected]) => {
      const stored = received - rejected
      return ledgerLine(source, received, stored, rejected)
    }),
    disk_full: false,
  }),
  'ledger/hours': () => ({
    hours: SOURCES.flatMap(([source, , received, rejected]) =>
      [2, 1, 0].map((hour) => {
        const [came, refused] = [Math.trunc(received / 24), Math.trunc(rejected / 24)]
        return { hour: iso(START - hour * 3_600_000), ...ledgerLine(source, came, came - refused, refused) }
      }),
    ),
  }),
  'dead-letters': () => ({
    total: 433,
    dead_letters: [
      { source: 'syslog', arrived: iso(START - 300_000), reason: 'no known format: the line is neither JSON, syslog, CEF nor key=value', text: '\u0000\u0001\u001b[31mBINARY\u202egnp.exe', bytes: 4096 },
      { source: 'zwy-nginx', arrived: iso(START - 4_000_000), reason: 'JSON ends in the middle of a string at column 8,190', text: '{"remote_addr":"192.0.2.14","request":"GET /a?x=', bytes: 8192 },
    ],
  }),
}

function ledgerLine(source: string, received: number, stored: number, rejected: number) {
  const sums = { source, received, stored, rejected, evaluated: stored, in_flight: 0, events: stored, late: 0, duplicates: 0, dropped: 0 }
  const reasons = rejected > 0 ? [{ stage: 'rejected', kind: 'unrecognised', count: rejected }] : []
  return { ...sums, unaccounted: 0, unevaluated: 0, balanced: true, reasons, warnings: [] }
}

function byId(path: string): unknown {
  const [kind, uid = ''] = path.split('/')
  if (kind === 'findings') return findings.find(({ finding_info }) => finding_info.uid === uid)
  if (kind === 'events') return events.find(({ metadata }) => metadata.uid === uid)
  const found = CASES.find(({ id }) => id === uid)
  return found && storyOf(found)
}

function apply(path: string, body: { state?: string; note?: string; text?: string }): void {
  const [, id = '', act] = path.split('/')
  const entry =
    act === 'state'
      ? { at: iso(Date.now()), by: 'zhangwei', kind: 'state', from: states.get(id) ?? '', to: body.state ?? '', note: body.note ?? '' }
      : { at: iso(Date.now()), by: 'zhangwei', kind: 'note', note: body.text ?? '' }
  if (body.state) states.set(id, body.state)
  added.set(id, [...(added.get(id) ?? []), entry])
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', 'http://mock')
  const path = url.pathname.replace('/api/v1/', '')
  if (path === 'session' && request.method !== 'GET') isLoggedIn = request.method === 'POST'
  const isOpen = path === 'session' ? request.method !== 'GET' : path === 'setup' || path === 'health'
  if (!isLoggedIn && !isOpen) {
    return send(response, 401, { title: 'Log in first', title_zh: '尚未登录', status: 401 })
  }
  if (path === 'stream') return stream(request, response)
  if (request.method !== 'GET') {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as { state?: string; note?: string; text?: string; name?: string }
    if (path === 'sources') return send(response, 201, { source: { ...sourceList()[0], name: body.name }, token: 'wl_src_8Gv2kq0T5mJzX1cYhR7dNw3sLbPfUaEo' })
    if (path.startsWith('incidents/')) apply(path, body)
    return send(response, 200, {})
  }
  const found = GET[path]?.(url.searchParams) ?? byId(path)
  if (found) return send(response, 200, found)
  return send(response, 404, { title: 'Not found', title_zh: '未找到', status: 404, detail: `there is no ${path}`, detail_zh: `没有 ${path}` })
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json' })
  response.end(JSON.stringify(body))
}

function stream(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  let turn = 0
  const tell = (name: string, data: unknown) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  const timer = setInterval(() => {
    turn += 1
    tell('rate', { events: 24 + ((turn * 7) % 19), findings: 0, in_flight: 0 })
    const told = NOISE[turn % NOISE.length]
    if (turn % 9 === 0 && told) tell('finding', findingOf({ ...told, ago: 0, record: 90_000 + turn }, Date.now()))
  }, 1_000)
  request.on('close', () => clearInterval(timer))
}

function handle(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  if (request.url?.startsWith('/api/v1/')) void answer(request, response)
  else next()
}

/** As strict as the server's, so that what it would refuse is refused here. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

export function mockApi(): Plugin {
  return {
    name: 'wanglou-mock-api',
    configureServer: ({ middlewares }) => void middlewares.use(handle),
    configurePreviewServer: ({ middlewares }) => {
      middlewares.use((_request, response, next) => {
        response.setHeader('Content-Security-Policy', POLICY)
        next()
      })
      middlewares.use(handle)
    },
  }
}
