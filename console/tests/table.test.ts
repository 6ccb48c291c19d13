import { mount } from '@vue/test-utils'
import { afterEach, describe, expect, it } from 'vitest'
import DataTable from '@/components/DataTable.vue'

const rows = ['a', 'b', 'c']
const press = (key: string, target: EventTarget = document.body) =>
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))

function table(more: Record<string, unknown> = {}) {
  return mount(DataTable, {
    attachTo: document.body,
    props: { columns: [{ key: 'name', title: 'Name' }], rows, rowKey: String, openable: true, ...more },
    slots: { 'cell-name': ({ row }: { row: unknown }) => String(row) },
  })
}

describe('the table', () => {
  afterEach(() => {
    document.body.innerHTML = ''
  })

  it('is walked with j and k, stops at its ends, and opens with Enter', async () => {
    const wrapper = table()
    for (const key of ['j', 'j', 'j', 'j', 'j', 'k', 'Enter']) press(key)
    expect(wrapper.emitted('open')).toEqual([['b']])
    wrapper.unmount()
  })

  it('leaves keys alone while somebody types', () => {
    const wrapper = table()
    const box = document.createElement('input')
    document.body.append(box)
    press('j', box)
    press('Enter', box)
    expect(wrapper.emitted('open')).toBeUndefined()
    wrapper.unmount()
  })

  it('opens by click only when rows open', async () => {
    const wrapper = table({ openable: false })
    await wrapper.find('tbody tr').trigger('click')
    expect(wrapper.emitted('open')).toBeUndefined()
    wrapper.unmount()
  })

  it('shows grey rows while loading, and what to do when there are none', () => {
    expect(table({ loading: true }).findAll('.skeleton').length).toBeGreaterThan(0)
    const empty = mount(DataTable, {
      props: { columns: [], rows: [], rowKey: String },
      slots: { empty: () => 'nothing here: widen the range' },
    })
    expect(empty.text()).toContain('widen the range')
  })
})
