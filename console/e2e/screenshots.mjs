/**
 * Writes a picture of every page to `screenshots/` (or WANGLOU_SCREENSHOTS): both languages, both themes, 1440×900 and
 * 1920×1080. Needs a running platform: see browser.mjs. WANGLOU_ONLY=zh-CN.dark.1440 takes one set.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { baseUrl, enter, launch, openPage } from './browser.mjs'

const OUT = process.env['WANGLOU_SCREENSHOTS'] ?? 'screenshots'
const ONLY = process.env['WANGLOU_ONLY'] ?? ''
const SIZES = [
  { width: 1440, height: 900 },
  { width: 1920, height: 1080 },
]
/** Charts and the live feed draw a moment after their data. */
const SETTLE_MS = 900

await mkdir(OUT, { recursive: true })
const browser = await launch()
let failures = 0
for (const locale of ['zh-CN', 'en']) {
  for (const theme of ['dark', 'light']) {
    for (const { width, height } of SIZES) {
      const set = `${locale}.${theme}.${width}`
      if (ONLY && ONLY !== set) continue
      failures += await takeSet(set, { width, height, theme, locale })
    }
  }
}
await browser.close()
process.exitCode = failures > 0 ? 1 : 0

/**
 * @param {string} set
 * @param {{ width: number, height: number, theme: string, locale: string }} options
 */
async function takeSet(set, options) {
  const { context, page, errors } = await openPage(browser, options)
  await page.goto(`${baseUrl}/login`)
  await take(page, set, 'login')
  await enter(page)
  await take(page, set, 'overview')

  await visit(page, '/alerts?last=30d')
  await take(page, set, 'alerts')
  if (await click(page, 'tr.openable td')) {
    await page.locator('.why').waitFor()
    await take(page, set, 'alert')
  }

  await visit(page, '/incidents')
  await take(page, set, 'incidents')
  if (await click(page, 'tr.openable td')) {
    await page.locator('.why').waitFor()
    await take(page, set, 'incident')
    if (await click(page, 'li a.chip')) await take(page, set, 'entity')
  }

  await visit(page, '/search?last=24h')
  await take(page, set, 'search')
  if (await click(page, 'tr.openable td')) await take(page, set, 'search-event')

  await visit(page, '/detections?hits=1')
  await take(page, set, 'detections')
  if (await click(page, 'tr.openable td')) await take(page, set, 'detections-rule')
  await visit(page, '/search?last=24h&q=severity%3E%3Dlow+and+(user%3Aroot')
  await take(page, set, 'search-mistake')
  await page.locator('[data-search] input').fill('src_ip:')
  await take(page, set, 'search-values')

  await visit(page, '/collection')
  await take(page, set, 'collection')
  await visit(page, '/')
  await page.keyboard.press('?')
  await take(page, set, 'help')
  await context.close()
  for (const error of errors) console.error(`${set}: ${error}`)
  return errors.length
}

/** @param {import('playwright-core').Page} page @param {string} path */
async function visit(page, path) {
  await page.goto(`${baseUrl}${path}`)
  await page.locator('main .page').waitFor()
  await page.waitForTimeout(SETTLE_MS)
}

/** Clicks the first such thing; false when there is none. @param {import('playwright-core').Page} page @param {string} selector */
async function click(page, selector) {
  const first = page.locator(selector).first()
  if ((await first.count()) === 0) return false
  await first.click()
  return true
}

/** @param {import('playwright-core').Page} page @param {string} set @param {string} name */
async function take(page, set, name) {
  await page.waitForTimeout(SETTLE_MS)
  const file = join(OUT, `${name}.${set}.png`)
  await page.screenshot({ path: file })
  console.log(file)
}
