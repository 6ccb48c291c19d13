import { flushPromises, mount } from '@vue/test-utils'
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { NDialogProvider, NMessageProvider } from 'naive-ui'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { h } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import type { LedgerHour, LedgerLine } from '@/api/types'
import { i18n } from '@/i18n'
import CollectionPage from '@/pages/CollectionPage.vue'

const LINE: LedgerLine = {
  source: 'waf',
  received: 100,
  stored: 100,
  rejected: 0,
  evaluated: 100,
  in_flight: 0,
  events: 100,
  late: 0,
  duplicates: 0,
  dropped: 0,
  unaccounted: 0,
  unevaluated: 0,
  balanced: true,
  reasons: [],
  warnings: [],
}

async function page(lines: LedgerLine[], { diskFull = false, hours = [] as LedgerHour[] } = {}) {
  const answers: Record<string, unknown> = {
    sources: { sources: lines.map(({ source }) => ({ name: source, kind: 'http', created: '2026-11-22T00:00:00Z', received: 0 })) },
    ledger: { sources: lines, disk_full: diskFull },
    'ledger/hours': { hours },
    'dead-letters': { dead_letters: [], total: 0 },
  }
  vi.stubGlobal('fetch', ({ url }: Request) => {
    const name = new URL(url).pathname.replace('/api/v1/', '')
    return Promise.resolve(Response.json(answers[name]))
  })
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', component: CollectionPage }] })
  await router.push('/')
  const wrapper = mount(
    { render: () => h(NMessageProvider, () => h(NDialogProvider, () => h(CollectionPage))) },
    { global: { plugins: [router, [VueQueryPlugin, { queryClient: new QueryClient() }]] } },
  )
  await flushPromises()
  await vi.waitFor(() => expect(wrapper.find('tbody td .log').exists()).toBe(true), { timeout: 10_000 })
  return wrapper
}

describe('the ledger on screen', () => {
  beforeEach(() => {
    i18n.global.locale.value = 'zh-CN'
  })
  afterEach(() => vi.unstubAllGlobals())

  it('is quiet when it adds up', async () => {
    const wrapper = await page([LINE])
    expect(wrapper.find('[role=alert]').exists()).toBe(false)
    expect(wrapper.find('.balanced').text()).toBe('相符')
  })

  it('is red and names the source when it does not', async () => {
    const wrapper = await page([LINE, { ...LINE, source: 'syslog', stored: 97, unaccounted: 3, unevaluated: 0, balanced: false }])
    expect(wrapper.find('[role=alert]').text()).toContain('syslog')
    expect(wrapper.find('[role=alert]').text()).not.toContain('waf')
    expect(wrapper.findAll('.broken').map((cell) => cell.text())).toEqual(['不平 3'])
  })

  it('shows frames that were never taken, though the sums hold', async () => {
    const wrapper = await page([{ ...LINE, dropped: 12 }])
    expect(wrapper.find('.broken').text()).toBe('12')
  })

  it('says that the disk is full', async () => {
    const wrapper = await page([LINE], { diskFull: true })
    expect(wrapper.find('[role=alert]').text()).toContain('磁盘已满')
  })

  it('tells of silent sources and fields that went empty', async () => {
    const since = '2026-11-22T00:00:00Z'
    const silent = { kind: 'silent', since, usual_pause_s: 90 }
    const empty = { kind: 'field_empty', since, field: 'src_endpoint.ip', events: 'waf/4002', usual_share: 0.98, share: 0.02 }
    const unknown = { kind: 'field_empty', since, field: 'class_uid', usual_share: 1, share: 0 }
    const wrapper = await page([{ ...LINE, warnings: [silent, empty, unknown] }])
    const told = wrapper.findAll('[role=status].note').map((note) => note.text())
    expect(told).toHaveLength(3)
    expect(told[0]).toMatch(/waf 已静默 .*1 分钟 30 秒/)
    expect(told[1]).toMatch(/src_endpoint\.ip .*98%.*2%/)
    expect(told[2]).toMatch(/无法识别.*100%.*0%/)
  })

  it('shows each hour with its reasons, what is missing in red', async () => {
    const hour = { ...LINE, hour: '2026-11-22T08:00:00Z', rejected: 5, reasons: [{ stage: 'rejected', kind: 'malformed', count: 5 }], unaccounted: -5, balanced: false }
    const wrapper = await page([LINE], { hours: [hour] })
    await vi.waitFor(() => expect(wrapper.find('.danger').exists()).toBe(true), { timeout: 10_000 })
    expect(wrapper.find('.danger').text()).toBe('-5')
    expect(wrapper.text()).toContain('格式有误 5')
  })
})
