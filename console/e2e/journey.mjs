/**
 * The journey of a first day, in a real browser against a running platform (see browser.mjs) that holds telemetry with
 * at least one incident: set up, look at the overview, open an incident and its explanation, take it on, search its
 * records, connect a source, leave and come back. Fails on any error the page reports and on any call to another host.
 */
import assert from 'node:assert/strict'
import { administrator, baseUrl, enter, launch, openPage } from './browser.mjs'

/** Telemetry may still be on its way when the journey starts. */
const TELEMETRY_PATIENCE_MS = 60_000

const browser = await launch()
const { page, errors } = await openPage(browser)
/** @type {string[]} */
const foreign = []
page.on('request', (request) => {
  const { protocol, origin } = new URL(request.url())
  if (protocol.startsWith('http') && origin !== new URL(baseUrl).origin) foreign.push(request.url())
})
page.on('dialog', () => errors.push('a dialog opened: log content was executed'))

/** @param {string} name @param {() => Promise<void>} act */
async function step(name, act) {
  const start = performance.now()
  try {
    await act()
  } catch (error) {
    await page.screenshot({ path: 'e2e-failure.png' })
    console.error(`✗ ${name} (${page.url()}; picture: e2e-failure.png)`)
    throw error
  }
  console.log(`✓ ${name} (${Math.round(performance.now() - start)} ms)`)
}

try {
  await step('log in', () => enter(page))

  await step('the overview is live and shows what came in', async () => {
    await page.locator('.live[data-state=live]').waitFor()
    await page.locator('canvas').first().waitFor()
    await page.locator('.tile .figure').nth(2).filter({ hasText: /[1-9]/ }).waitFor({ timeout: TELEMETRY_PATIENCE_MS })
  })

  await step('an incident opens with its story', async () => {
    await page.keyboard.press('g')
    await page.keyboard.press('i')
    await page.waitForURL('**/incidents')
    await page.locator('tbody a.title').first().waitFor({ timeout: TELEMETRY_PATIENCE_MS })
    await page.locator('tbody a.title').first().click()
    await page.waitForURL('**/incidents/*')
    await page.locator('main h2').first().waitFor()
    assert.ok((await page.locator('ol li .mark').count()) > 0, 'the timeline has no entries')
    assert.ok((await page.locator('a.chip').count()) > 0, 'the incident names no entities')
  })

  await step('the incident says why each alert fired', async () => {
    await page.locator('.why article').first().waitFor()
    const why = page.locator('.why').first()
    assert.match((await why.locator('tbody th').first().textContent()) ?? '', /\S/, 'no selection is named')
    assert.match((await why.locator('td.value').first().textContent()) ?? '', /\S/, 'no value is shown')
    await page.locator('.raw pre').first().waitFor()
  })

  await step('an entity opens beside it, and the back button closes it', async () => {
    await page.locator('a.chip').first().click()
    await page.locator('.n-drawer').waitFor()
    assert.ok(page.url().includes('entity='), 'the open panel is not in the address')
    await page.goBack()
    await page.locator('.n-drawer').waitFor({ state: 'hidden' })
  })

  await step('the incident is taken on, with a note', async () => {
    const note = `已核对原始日志 ${Date.now()}`
    await page.locator('.actions .n-button--primary-type').click()
    await page.locator('textarea[name=note]').fill(note)
    await page.locator('.n-modal button[type=submit]').click()
    await page.locator('.n-modal').waitFor({ state: 'hidden' })
    await page.getByText(note).first().waitFor()
    await page.reload()
    await page.getByText(note).first().waitFor()
  })

  await step('its record is found by search, raw and normalised', async () => {
    await page.goto(`${baseUrl}/search?last=30d`)
    await page.locator('tr.openable td').first().click()
    await page.locator('tr.expanded dl').first().waitFor()
    await page.locator('tr.expanded .raw pre').waitFor()
    await page.locator('tr.expanded button.value').first().click()
    await page.waitForURL(/[?&]q=/)
    assert.match(await page.locator('[data-search] input').inputValue(), /^[\w.]+:/, 'the condition is not in the query')
  })

  await step('a mistake in a query is shown where it stands', async () => {
    await page.locator('[data-search] input').fill('class_uid:* (severity>=low')
    await page.keyboard.press('Enter')
    await page.locator('[role=alert] mark').waitFor()
    assert.equal(await page.locator('[role=alert] mark').textContent(), '(')
    await page.locator('[data-search] input').fill('class_uid:* and not severity:critical')
    await page.keyboard.press('Enter')
    await page.locator('tr.openable td').first().waitFor()
  })

  await step('a source is connected and its token shown', async () => {
    await page.goto(`${baseUrl}/collection`)
    await page.locator('main .page .n-button--primary-type').first().click()
    await page.locator('input[name=source]').fill(`e2e-${Date.now()}`)
    await page.locator('.n-modal button[type=submit]').click()
    assert.match((await page.locator('[data-token]').textContent()) ?? '', /\S{16,}/, 'no token is shown')
  })

  await step('a rule shows what suppressing it would hide', async () => {
    await page.goto(`${baseUrl}/detections?hits=1`)
    await page.locator('tr.openable td').first().click()
    await page.locator('tr.expanded button').last().click()
    await page.locator('.n-modal input').first().fill('e2e')
    await page.locator('.n-modal button[type=submit]').click()
    assert.match((await page.locator('[data-preview] strong').textContent()) ?? '', /[1-9]/, 'nothing would be hidden')
    await page.keyboard.press('Escape')
  })

  await step('log out and in again', async () => {
    await page.goto(`${baseUrl}/incidents`)
    await page.locator('[data-account]').click()
    await page.locator('.n-dropdown-option').last().click()
    await page.waitForURL('**/login?next=/incidents')
    await page.locator('input[name=username]').fill(administrator.username)
    await page.locator('input[name=password]').fill(administrator.password)
    await page.locator('button[type=submit]').click()
    await page.waitForURL('**/incidents')
  })

  assert.deepEqual(foreign, [], 'the console called other hosts')
  assert.deepEqual(errors, [], 'the page reported errors')
} finally {
  await browser.close()
}
