import { afterEach, describe, expect, it, vi } from 'vitest'
import { api } from '@/api/client'
import { asProblem } from '@/api/problem'

function answer(status: number, body: unknown, type = 'application/json') {
  const calls: Request[] = []
  vi.stubGlobal('fetch', (request: Request) => {
    calls.push(request)
    return Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status, headers: { 'Content-Type': type } }))
  })
  return calls
}

const failure = (call: Promise<unknown>) => call.then(() => Promise.reject(new Error('it did not fail')), asProblem)

describe('calls', () => {
  afterEach(() => vi.unstubAllGlobals())

  it('repeat a condition for each value and leave out what is not asked', async () => {
    const [call] = await withCall(() => api.events({ where: ['src_endpoint.ip:10.0.0.8', 'user.name:张三'], limit: 10 }), { events: [], took_ms: 1 })
    const { searchParams } = new URL(call?.url ?? '')
    expect(searchParams.getAll('where')).toEqual(['src_endpoint.ip:10.0.0.8', 'user.name:张三'])
    expect(searchParams.has('cursor')).toBe(false)
  })

  it('carry the header against forged requests when they change something', async () => {
    const [reading] = await withCall(() => api.ledger(), { sources: [] })
    const [changing] = await withCall(() => api.addNote('1', 'x'), {})
    expect(reading?.headers.get('X-Wanglou-CSRF')).toBeNull()
    expect(changing?.headers.get('X-Wanglou-CSRF')).toBe('1')
  })

  it('escape what goes into the path', async () => {
    const [call] = await withCall(() => api.incident('../session'), { findings: [] })
    expect(new URL(call?.url ?? '').pathname).toBe('/api/v1/incidents/..%2Fsession')
  })

  it('fail with the words of the problem document, in the language of the screen', async () => {
    answer(409, { title: 'Conflict', title_zh: '状态冲突', detail: 'closed already', detail_zh: '已经关闭' }, 'application/problem+json')
    const problem = await failure(api.changeState('1', { state: 'closed', note: 'x' }))
    expect(problem.kind).toBe('invalid')
    expect(problem.words('zh-CN')).toEqual({ title: '状态冲突', detail: '已经关闭' })
    expect(problem.words('en')).toEqual({ title: 'Conflict', detail: 'closed already' })
  })

  it.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
    [404, 'missing'],
    [429, 'limited'],
    [503, 'server'],
  ])('%d is %s, even without a document', async (status, kind) => {
    answer(status, undefined)
    expect((await failure(api.ledger())).kind).toBe(kind)
  })

  it('say offline when the network fails', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('failed to fetch')))
    expect((await failure(api.ledger())).kind).toBe('offline')
  })
})

async function withCall(act: () => Promise<unknown>, body: unknown): Promise<Request[]> {
  const calls = answer(200, body)
  await act()
  return calls
}
