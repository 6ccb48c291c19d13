import { mount } from '@vue/test-utils'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Finding } from '@/api/ocsf'
import WhyFired from '@/components/WhyFired.vue'
import { i18n } from '@/i18n'

const HOSTILE = '<img src=x onerror=alert(1)>\u202e UNION SELECT'

function finding(value: string, count = 1): Finding {
  return {
    count,
    evidences: [
      {
        data: {
          file: 'access.log',
          record: 17,
          time: '2026-11-22T12:00:00Z',
          product: 'nginx',
          matches: [
            { selection: 'keywords', field: 'request_uri', value, pattern: "cs-uri-query|contains: 'union select'" },
            { selection: 'keywords', field: '', value: 'sqlmap', pattern: 'sqlmap' },
            { selection: 'success', field: 'status', value: '200', pattern: 'sc-status: 200' },
          ],
        },
      },
    ],
    unmapped: { group: [{ field: 'remote_addr', value: '203.0.113.7' }] },
  }
}

describe('why it fired', () => {
  beforeEach(() => {
    i18n.global.locale.value = 'zh-CN'
  })

  it('names place, selection, field, value and what the rule asked', () => {
    const text = mount(WhyFired, { props: { finding: finding('a UNION SELECT b') } }).text()
    for (const part of ['access.log', '第 17 条', 'keywords', 'request_uri', "cs-uri-query|contains: 'union select'", 'success', '任意字段', 'remote_addr']) {
      expect(text).toContain(part)
    }
  })

  it('marks the part of the value that met the rule', () => {
    const marks = mount(WhyFired, { props: { finding: finding('a UNION SELECT b') } }).findAll('mark')
    expect(marks.map((mark) => mark.text())).toEqual(['UNION SELECT', 'sqlmap', '200'])
  })

  it('shows hostile values as text, hidden characters by code', () => {
    const wrapper = mount(WhyFired, { props: { finding: finding(HOSTILE) } })
    expect(wrapper.find('img').exists()).toBe(false)
    expect(wrapper.text()).toContain('<img src=x onerror=alert(1)>')
    expect(wrapper.text()).toContain('U+202E')
    expect(wrapper.text()).not.toContain('\u202e')
  })

  it('cuts an enormous value until asked', async () => {
    const wrapper = mount(WhyFired, { props: { finding: finding('x'.repeat(100_000)) } })
    expect(wrapper.text().length).toBeLessThan(2_000)
    await wrapper.find('button.more').trigger('click')
    expect(wrapper.text().length).toBeGreaterThan(100_000)
  })

  it('says how many events it does not show', () => {
    expect(mount(WhyFired, { props: { finding: finding('a', 412) } }).text()).toContain('411')
  })

  it('does not break on a finding without evidence', () => {
    expect(mount(WhyFired, { props: { finding: {} } }).text()).toBe('这条告警没有附带命中字段。')
  })
})
