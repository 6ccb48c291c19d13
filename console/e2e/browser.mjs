/**
 * What the scripts here share: Debian's Chromium, and a session in it.
 *
 * Environment: WANGLOU_URL, the address of a running `wanglou serve`; then WANGLOU_SETUP_LINK, the one-time link it
 * printed, or WANGLOU_USER and WANGLOU_PASSWORD when the administrator exists; CHROMIUM, the browser's path.
 */
import { chromium } from 'playwright-core'

const BROWSER = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
/** How long a page may take to show what is waited for. */
export const PATIENCE_MS = 15_000

const setupLink = process.env['WANGLOU_SETUP_LINK'] ?? ''
export const baseUrl = (process.env['WANGLOU_URL'] ?? (setupLink && new URL(setupLink).origin)) || 'http://127.0.0.1:4173'

export const administrator = {
  username: process.env['WANGLOU_USER'] ?? 'admin',
  password: process.env['WANGLOU_PASSWORD'] ?? 'Wanglou-e2e-2026',
}

export function launch() {
  return chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox', '--font-render-hinting=none'] })
}

/**
 * A page of the given size with the given preferences; its errors are collected.
 * @param {import('playwright-core').Browser} browser
 * @param {{ width?: number, height?: number, theme?: string, locale?: string }} options
 */
export async function openPage(browser, { width = 1440, height = 900, theme = 'dark', locale = 'zh-CN' } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    locale,
    timezoneId: 'Asia/Shanghai',
    // The platform's certificate is signed by an authority of its own.
    ignoreHTTPSErrors: true,
  })
  await context.addInitScript(
    (preferences) => localStorage.setItem('wanglou.preferences', preferences),
    JSON.stringify({ theme, locale, zone: 'Asia/Shanghai', navFolded: false }),
  )
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  /** @type {string[]} */
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => {
    // Chromium logs every refused call; the 401 before logging in and the 400 of a mistaken query are no errors of the page.
    if (message.type() === 'error' && !/status of 40[01]/.test(message.text())) errors.push(message.text())
  })
  return { context, page, errors }
}

/**
 * Ends on the overview: with the set-up link the first time, else with name and password; a session that is there is used.
 * @param {import('playwright-core').Page} page
 */
export async function enter(page) {
  const { needed } = await (await page.request.get(`${baseUrl}/api/v1/setup`)).json()
  await page.goto(needed ? setupLink : `${baseUrl}/`)
  await page.locator('nav .item, form input[name=password]').first().waitFor()
  if ((await page.locator('nav .item').count()) === 0) {
    await page.locator('input[name=username]').fill(administrator.username)
    await page.locator('input[name=password]').fill(administrator.password)
    if (needed) await page.locator('input[name=again]').fill(administrator.password)
    await page.locator('button[type=submit]').click()
  }
  await page.locator('nav .item').first().waitFor()
}
