// A real Chromium for tests of the admin page: Debian's, driven by playwright-core.
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

/** The path of a browser: that of SPRINGHOUSE_TEST_BROWSER, or one on PATH; undefined if there is none (ensure-chromium.sh installs one). */
export const browserPath: string | undefined = process.env['SPRINGHOUSE_TEST_BROWSER'] ?? find(['chromium', 'chromium-browser', 'google-chrome'])

/** The text of axe, which checks a page's accessibility; it is run in the page. */
export const axePath: string = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

function find(names: readonly string[]): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of names) {
      try {
        accessSync(join(folder, name), constants.X_OK)
        return join(folder, name)
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined
}

/** Starts a browser; the test closes it at its end. Containers of CI run as root, where Chromium needs `--no-sandbox`. */
export async function startBrowser(t: { teardown(end: () => Promise<void>): void }): Promise<Browser> {
  const browser = await chromium.launch({ ...(browserPath !== undefined && { executablePath: browserPath }), args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  t.teardown(() => browser.close())
  return browser
}
