import { mount, RouterLinkStub } from '@vue/test-utils'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Correlation, Finding } from '@/api/ocsf'
import CorrelationDetail from '@/components/CorrelationDetail.vue'
import { i18n } from '@/i18n'

const events = Array.from({ length: 20 }, (_, index) => ({
  rule: index < 19 ? ['id-failed', 'Failed logon'] : ['id-worked', 'Successful logon'],
  event: `e${index}`,
  time: new Date(Date.UTC(2026, 10, 22, 12, 0, index * 5)).toISOString(),
  place: { file: 'auth.log', record: index + 1 },
}))

function show(more: Partial<Correlation> = {}, count = 20) {
  const correlation: Correlation = { kind: 'value_count', condition: 'field: user, gte: 20', timespan_secs: 600, reached: 20, error: null, events, ...more }
  const finding: Finding = {
    count,
    start_time: Date.UTC(2026, 10, 22, 12, 0, 0),
    end_time: Date.UTC(2026, 10, 22, 12, 1, 35),
    unmapped: { group: [{ field: 'c-ip', value: '<b>203.0.113.7</b>' }], correlation },
  }
  return mount(CorrelationDetail, { props: { finding, correlation }, global: { stubs: { RouterLink: RouterLinkStub } } })
}

describe('what a correlation counted', () => {
  beforeEach(() => {
    i18n.global.locale.value = 'en'
  })

  it('names type, what was reached, condition, time, group and rules', () => {
    const text = show().text()
    for (const part of ['Number of different values', '20', 'field: user, gte: 20', '10 min', 'c-ip', '<b>203.0.113.7</b>', 'Failed logon', '× 19', 'Successful logon', '× 1']) {
      expect(text).toContain(part)
    }
    expect(text).not.toContain('estimate')
  })

  it('states the error of an estimate', () => {
    const text = show({ reached: 20_000, error: 0.011 }).text()
    expect(text).toContain('± 1.1 %')
    expect(text).toContain('19,560')
    expect(text).toContain('20,440')
  })

  it('links each event and the time of all, and shows the rest when asked', async () => {
    const wrapper = show({}, 5_000)
    const targets = () => wrapper.findAllComponents(RouterLinkStub).map((link) => JSON.stringify(link.props('to')))
    expect(targets().filter((to) => to.includes('"event"'))).toHaveLength(8)
    expect(targets().some((to) => to.includes('2026-11-22T12:00:00.000Z') && to.includes('2026-11-22T12:01:36.000Z'))).toBe(true)
    expect(wrapper.text()).toContain('5,000 were counted')
    await wrapper.find('button').trigger('click')
    expect(targets().filter((to) => to.includes('"event"'))).toHaveLength(20)
  })
})
