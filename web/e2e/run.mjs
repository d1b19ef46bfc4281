/**
 * Runs the page in a real Chromium.
 *
 * `npm run e2e` checks everything against the made-up shop; with `SLUICE_URL`
 * it checks a running warehouse, as far as its numbers are not known before.
 * `npm run e2e -- WORD` runs the checks with that word in their name.
 */

import { SHOTS } from './browser.mjs';

const suites = process.env.SLUICE_URL ? ['./real.checks.mjs', './work.checks.mjs'] : ['./live.checks.mjs', './alarms.checks.mjs', './tracker.checks.mjs'];
const wanted = process.argv[2] ?? '';
let failed = 0;

for (const suite of suites) {
  const { checks } = await import(suite);
  for (const [name, check] of Object.entries(checks)) {
    if (!name.includes(wanted)) continue;
    const started = performance.now();
    try {
      await check();
      console.log(`ok    ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}\n      ${error.stack ?? error}`);
    }
  }
}
console.log(`screenshots: ${SHOTS}`);
process.exit(failed > 0 ? 1 : 0);
