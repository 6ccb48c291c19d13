import { describe, expect, it } from 'vitest'
import { rate, shortCount, span } from '@/lib/format'
import { compactTime, dateTime, fullTime, offsetMinutes, parseLocal, relative } from '@/lib/time'

const NOON_UTC = Date.UTC(2026, 10, 22, 12, 0, 5, 250)

describe('counts', () => {
  it.each([
    [0, '0', '0'],
    [9_999, '9,999', '9,999'],
    [10_000, '1 万', '10 k'],
    [12_345, '1.2 万', '12 k'],
    [99_999, '9.9 万', '99 k'],
    [1_230_000, '123 万', '1.2 M'],
    [345_678_901, '3.4 亿', '345 M'],
  ])('%d', (count, zh, en) => {
    expect(shortCount(count, 'zh-CN')).toBe(zh)
    expect(shortCount(count, 'en')).toBe(en)
  })

  it('rates keep one decimal while it matters', () => {
    expect(rate(0.02, 'en')).toBe('< 0.1')
    expect(rate(3.14, 'en')).toBe('3.1')
    expect(rate(31.4, 'en')).toBe('31')
  })

  it('spans show the two units that matter', () => {
    const units = { day: 'd', hour: 'h', minute: 'min', second: 's' }
    expect(span(400, units)).toBe('0 s')
    expect(span(65_000, units)).toBe('1 min 5 s')
    expect(span(7_200_000, units)).toBe('2 h')
    expect(span(90_061_000, units)).toBe('1 d 1 h')
  })
})

describe('times', () => {
  it('are shown in the chosen zone, whatever the zone of the browser', () => {
    expect(dateTime(NOON_UTC, 'Asia/Shanghai')).toBe('2026-11-22 20:00:05')
    expect(dateTime(NOON_UTC, 'UTC')).toBe('2026-11-22 12:00:05')
  })

  it('say midnight as 00', () => {
    expect(dateTime(Date.UTC(2026, 0, 1, 16), 'Asia/Shanghai')).toBe('2026-01-02 00:00:00')
  })

  it('leave out what is the same today', () => {
    expect(compactTime(NOON_UTC, NOON_UTC, 'Asia/Shanghai')).toBe('20:00:05')
    expect(compactTime(NOON_UTC, NOON_UTC + 86_400_000, 'Asia/Shanghai')).toBe('11-22 20:00:05')
    expect(compactTime(NOON_UTC, NOON_UTC + 60 * 86_400_000, 'Asia/Shanghai')).toBe('2026-11-22 20:00:05')
  })

  it('tell zone, milliseconds and UTC on hover', () => {
    expect(fullTime(NOON_UTC, 'Asia/Shanghai')).toBe('2026-11-22 20:00:05.250 UTC+08:00 (Asia/Shanghai)\n2026-11-22T12:00:05.250Z')
  })

  it('are read back in the chosen zone, across a change of offset as well', () => {
    for (const zone of ['Asia/Shanghai', 'UTC', 'America/New_York', 'Asia/Kathmandu']) {
      for (let day = 0; day < 365; day += 13) {
        const instant = Date.UTC(2026, 0, 1 + day, 9, 30)
        expect(parseLocal(dateTime(instant, zone), zone)).toBe(instant)
      }
    }
    expect(parseLocal('2026-13-01', 'UTC')).toBeUndefined()
    expect(parseLocal('yesterday', 'UTC')).toBeUndefined()
  })

  it('know offsets west of Greenwich and of half hours', () => {
    expect(offsetMinutes(NOON_UTC, 'America/New_York')).toBe(-300)
    expect(offsetMinutes(NOON_UTC, 'Asia/Kolkata')).toBe(330)
  })

  it('are relative in both languages', () => {
    expect(relative(NOON_UTC - 180_000, NOON_UTC, 'zh-CN')).toBe('3分钟前')
    expect(relative(NOON_UTC - 7_200_000, NOON_UTC, 'en')).toBe('2 hr. ago')
  })
})
