import { flushPromises, mount } from '@vue/test-utils'
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { NDialogProvider, NMessageProvider } from 'naive-ui'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { h } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import type { LedgerLine } from '@/api/types'
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
  duplicates: 0,
  dropped: 0,
  balanced: true,
}

async function page(lines: LedgerLine[]) {
  const answers: Record<string, unknown> = {
    sources: { sources: lines.map(({ source }) => ({ name: source, kind: 'http', created: '2026-11-22T00:00:00Z', received: 0 })) },
    ledger: { sources: lines },
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
  await vi.waitFor(() => expect(wrapper.find('tbody td .log').exists()).toBe(true))
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
    const wrapper = await page([LINE, { ...LINE, source: 'syslog', stored: 97, balanced: false }])
    expect(wrapper.find('[role=alert]').text()).toContain('syslog')
    expect(wrapper.find('[role=alert]').text()).not.toContain('waf')
    expect(wrapper.findAll('.broken').map((cell) => cell.text())).toEqual(['不平'])
  })

  it('shows frames that were never taken, though the sums hold', async () => {
    const wrapper = await page([{ ...LINE, dropped: 12 }])
    expect(wrapper.find('.broken').text()).toBe('12')
  })
})
