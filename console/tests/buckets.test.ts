import { describe, expect, it } from 'vitest'
import { readableBuckets } from '@/lib/buckets'
import { dateTime } from '@/lib/time'

const MINUTE = 60_000
const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 22, 15, 11, 3)

describe('readable buckets', () => {
  it.each([15 * MINUTE, 60 * MINUTE, 6 * 60 * MINUTE, DAY, 7 * DAY, 30 * DAY, 400 * DAY, 1, 2_345])('cover a span of %d ms with few buckets', (span) => {
    const { from, to, count } = readableBuckets({ from: NOW - span, to: NOW }, 100, 'Asia/Shanghai')
    expect(from).toBeLessThanOrEqual(NOW - span)
    expect(to).toBeGreaterThanOrEqual(NOW)
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThanOrEqual(100)
    expect((to - from) % count).toBe(0)
  })

  it('start on round times of the display zone', () => {
    const day = readableBuckets({ from: NOW - DAY, to: NOW }, 100, 'Asia/Kathmandu')
    expect(dateTime(day.from, 'Asia/Kathmandu')).toMatch(/:(00|15|30|45):00$/)
    const month = readableBuckets({ from: NOW - 90 * DAY, to: NOW }, 100, 'Asia/Shanghai')
    expect(dateTime(month.from, 'Asia/Shanghai')).toMatch(/00:00:00$/)
  })
})
