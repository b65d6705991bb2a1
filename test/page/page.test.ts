// The admin page in a real Chromium, over two replicas that share a Redis: what each view shows, and what the page never does.
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { axePath, browserPath, startBrowser } from '../support/browser.ts'
import { overRedis, startProxy, token, type TestProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'

const viewerToken = 'a-token-of-a-viewer-of-the-page'
const views = ['overview', 'routes', 'explain', 'purge', 'traffic', 'entries', 'fleet', 'config', 'api'] as const
/** Pictures of each view at each size and in both colours, for a person to review. */
const screenshots = join('.build', 'screenshots')
const axeScript = readFileSync(axePath, 'utf8')
const markup = '/%3Cimg%20src=x%20onerror=alert(1)%3E'

interface Opened {
  readonly page: Page
  /** URLs that the page requested, faults of scripts, and violations of the Content-Security-Policy. */
  readonly requested: string[]
  readonly faults: string[]
}

/** The two replicas. The first has the page. */
async function startFleet(test: Test): Promise<readonly [TestProxy<typeof systemClock>, TestProxy<typeof systemClock>]> {
  const redis = await startRedis()
  test.teardown(() => redis.stop())
  const admin = {
    host: '127.0.0.1',
    port: 0,
    tokens: [{ name: 'ops', token, scopes: ['read', 'purge'] }, { name: 'viewer', token: viewerToken, scopes: ['read'] }],
  }
  const first = await startProxy(test, {
    origin: (request, response) => {
      const cookie = request.url === '/me'
      response.writeHead(200, { 'Cache-Control': request.url === '/private' ? 'no-store' : 'max-age=600', 'Cache-Tag': 'shop', ...(cookie && { 'Set-Cookie': 'lb=1' }) })
      response.end(`body of ${request.url}`)
    },
    clock: systemClock,
    config: { ...overRedis(redis.url), admin },
  })
  const second = await startProxy(test, { origin: first.origin, clock: systemClock, config: { ...overRedis(redis.url), admin } })
  return [first, second]
}

async function open(context: BrowserContext, adminUrl: string, path = '/'): Promise<Opened> {
  const page = await context.newPage()
  const requested: string[] = []
  const faults: string[] = []
  page.on('request', (request) => requested.push(request.url()))
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    // Browsers print each problem document of the API: that is no fault of the page, which shows it.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text())
  })
  await page.goto(adminUrl + path)
  return { page, requested, faults }
}

async function logIn(page: Page, given: string): Promise<void> {
  await page.getByLabel('Admin token').fill(given)
  await page.getByRole('button', { name: 'Log in' }).click()
}

const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name })

/** Goes to a view by its link, as a person's bookmark does. */
async function goTo(page: Page, view: string): Promise<void> {
  await page.evaluate(`location.hash = '#/${view}'`)
}

if (browserPath === undefined && process.env['SPRINGHOUSE_TEST_BROWSER_REQUIRED'] === undefined) {
  t.pass('no browser is on PATH: the tests of the admin page are skipped (test/support/ensure-chromium.sh installs one)', { skip: true })
} else {
  t.test('the admin page', async (test) => {
    const [first, second] = await startFleet(test)
    const { adminUrl } = first.app
    const browser = await startBrowser(test)
    const context = await browser.newContext()
    context.setDefaultTimeout(20_000)
    const { page, requested, faults } = await open(context, adminUrl)

    for (const path of ['/shop', '/shop', '/shop', '/other', '/me', markup]) await first.get(path)
    await second.get('/shop')

    await test.test('a wrong token is refused, and the right one is kept nowhere', async (t) => {
      await logIn(page, 'not-the-token-at-all')
      await page.getByRole('alert').waitFor()
      t.equal(await page.getByLabel('Admin token').inputValue(), '', 'the form forgets what was refused')
      await logIn(page, token)
      await heading(page, 'Overview').waitFor()
      const kept = await page.evaluate('JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }, document.cookie, location.href])')
      t.notMatch(kept, token)
      const cookies = await context.cookies()
      t.match(cookies, [{ name: 'springhouse_admin', httpOnly: true, sameSite: 'Strict' }])
      t.notOk(JSON.stringify(cookies).includes(token))
    })

    await test.test('the overview shows the numbers of the API', async (t) => {
      await goTo(page, 'overview')
      await page.getByLabel('this replica').check()
      const metric = (name: string) => page.locator(`[data-metric=${name}]`)
      await page.locator('[data-metric=requests]', { hasText: /^6$/ }).waitFor()
      t.equal(await metric('hit-ratio').textContent(), '33.3 %', 'two hits of six')
      for (const name of ['requests-per-second', 'origin-saved', 'bytes-saved']) t.match(await metric(name).textContent(), /\d/, name)
      await page.getByRole('cell', { name: 'set-cookie' }).waitFor()
      await page.getByText('as a table').first().click()
      await page.getByRole('region', { name: /by outcome, as a table/ }).waitFor()
    })

    await test.test('explain says why, and what to change', async (t) => {
      await goTo(page, 'explain')
      await page.getByLabel(/^URL/).fill(`${first.app.proxyUrl}/shop`)
      await page.getByRole('button', { name: 'Explain' }).click()
      await page.getByText('FROM CACHE').waitFor()
      t.match(page.url(), /#\/explain\?url=/, 'the address is a link to it')
      await page.getByLabel(/^URL/).fill('nonsense')
      await page.getByRole('button', { name: 'Explain' }).click()
      await page.getByRole('alert').waitFor()
    })

    await test.test('a purge is acknowledged by every replica', async () => {
      await goTo(page, 'purge')
      await page.getByLabel('Tags', { exact: true }).fill('shop')
      await page.getByRole('button', { name: 'Purge', exact: true }).click()
      await page.getByText(/2 of 2 replicas have acknowledged/).waitFor()
      await page.getByRole('cell', { name: 'tag shop' }).waitFor()
    })

    await test.test('everything is purged only if its name is typed', async (t) => {
      const button = page.getByRole('button', { name: 'Purge everything' })
      t.ok(await button.isDisabled())
      await page.getByLabel(/To purge everything/).fill('everything')
      t.notOk(await button.isDisabled())
      await button.click()
      await page.getByRole('cell', { name: 'everything' }).waitFor()
    })

    await test.test('entries are listed and purged; markup in a URL is text', async (t) => {
      await first.get(markup)
      await first.get('/shop')
      await goTo(page, 'entries')
      await page.getByRole('link', { name: /onerror/ }).waitFor()
      t.equal(await page.locator('img').count(), 0)
      await page.getByRole('button', { name: `Purge ${first.app.proxyUrl}/shop`, exact: true }).click()
      await page.getByText(/\/shop is purged everywhere/).waitFor()
    })

    await test.test('traffic shows a request as it ends, with its query masked, and no more of them while paused', async (t) => {
      await goTo(page, 'traffic')
      await page.getByText('Live: each request').waitFor()
      await first.get('/watched?secret=hunter2')
      await page.getByRole('cell', { name: '/watched?secret=***' }).waitFor()
      t.notMatch(await page.content(), 'hunter2')
      await page.getByRole('button', { name: 'Pause' }).click()
      await page.getByText('Paused.').waitFor()
      await page.getByLabel('Tags', { exact: true }).check()
      await page.getByRole('cell', { name: 'shop', exact: true }).waitFor()
    })

    await test.test('the fleet has both replicas and every server', async () => {
      await goTo(page, 'fleet')
      await page.getByText(/2 ok/).waitFor()
      await page.getByRole('cell', { name: first.origin.url }).waitFor()
    })

    await test.test('the configuration is masked', async (t) => {
      await goTo(page, 'config')
      await page.getByText('maxLagMs').waitFor()
      t.notMatch(await page.content(), token)
    })

    await test.test('/docs shows every endpoint, with its parameters and members', async () => {
      await page.goto(`${adminUrl}/docs`)
      await page.getByText('POST /v1/purge').click()
      await page.getByText('Tags that the origin put on its responses').waitFor()
      await page.getByText('GET /v1/top').click()
      await page.getByText('The kind of names; keys if not given.').waitFor()
    })

    await test.test('keys: a view, the field for a URL, help, and none of them once they are turned off', async (t) => {
      await page.locator('main').focus()
      await page.keyboard.press('g')
      await page.keyboard.press('r')
      await heading(page, 'Routes').waitFor()
      await page.keyboard.press('/')
      await page.locator('#explain-url:focus').waitFor()
      await page.locator('main').focus()
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: 'Keys' }).waitFor()
      await page.getByLabel('Single keys are shortcuts').uncheck()
      await page.getByRole('button', { name: 'Close' }).click()
      await page.locator('main').focus()
      await page.keyboard.press('g')
      await page.keyboard.press('p')
      t.ok(await heading(page, 'Explain').isVisible())
    })

    await test.test('a hidden tab requests nothing', async (t) => {
      await goTo(page, 'overview')
      await heading(page, 'Overview').waitFor()
      await page.clock.install()
      await page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })
        document.dispatchEvent(new Event('visibilitychange'))`)
      const before = requested.length
      await page.clock.runFor(120_000)
      t.equal(requested.length, before)
      const asked = page.waitForRequest(/\/v1\/stats/)
      await page.evaluate(`Reflect.deleteProperty(document, 'hidden')
        document.dispatchEvent(new Event('visibilitychange'))`)
      await asked
    })

    await test.test('every view in both colours and at each width: accessible, and never wider than the screen', async (t) => {
      mkdirSync(screenshots, { recursive: true })
      for (const scheme of ['light', 'dark'] as const) {
        for (const [width, height] of [[1440, 900], [768, 1024], [360, 740]] as const) {
          const other = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, storageState: await context.storageState() })
          other.setDefaultTimeout(20_000)
          const opened = await open(other, adminUrl)
          for (const view of views) {
            await goTo(opened.page, view)
            await heading(opened.page, { config: 'Configuration', api: 'API' }[view as string] ?? view.charAt(0).toUpperCase() + view.slice(1)).waitFor()
            await opened.page.getByText(/^Loading/).first().waitFor({ state: 'detached' })
            t.ok(await opened.page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${view} fits ${width} pixels`)
            await opened.page.screenshot({ path: join(screenshots, `${view}-${width}-${scheme}.png`), fullPage: true })
            if (width === 768) continue
            t.same(await violations(opened.page), [], `${view}, ${scheme}, ${width} pixels`)
          }
          t.same(opened.faults, [])
          await other.close()
        }
      }
    })

    await test.test('a token that may only read sees why it cannot purge', async (t) => {
      const other = await browser.newContext()
      const opened = await open(other, adminUrl, '/#/purge')
      await logIn(opened.page, viewerToken)
      await opened.page.getByText('This token lacks the scope "purge".').waitFor()
      await opened.page.getByLabel('Tags', { exact: true }).fill('shop')
      t.ok(await opened.page.getByRole('button', { name: 'Purge', exact: true }).isDisabled())
      await other.close()
    })

    await test.test('a log-out ends the login', async (t) => {
      const other = await browser.newContext()
      const opened = await open(other, adminUrl)
      await logIn(opened.page, viewerToken)
      await opened.page.getByText('viewer').click()
      await opened.page.getByRole('button', { name: 'Log out' }).click()
      await opened.page.getByLabel('Admin token').waitFor()
      t.same(await other.cookies(), [])
      await other.close()
    })

    await test.test('the page requests this listener alone, and its policy forbids everything else', async (t) => {
      t.same([...new Set(requested.map((url) => new URL(url).origin))], [adminUrl])
      t.same(faults, [], 'no script has failed, and the policy has stopped nothing')
      const response = await context.request.get(adminUrl)
      t.match(response.headers()['content-security-policy'], /^default-src 'none'; script-src 'self' 'sha256-[^']+'; style-src 'self'; /)
      t.notMatch(response.headers()['content-security-policy'], /unsafe/)
    })

    await test.test('a lost connection is said', async () => {
      await first.app.close()
      await page.getByText('The connection to the admin listener is lost.').waitFor()
    })
  })
}

/** Returns what axe finds against WCAG 2.2 AA, each with its first element. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axeScript)
  const found = await page.evaluate(`axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`)
  return (found as { violations: { id: string; nodes: { html: string }[] }[] }).violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}
