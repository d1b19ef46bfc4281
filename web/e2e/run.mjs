/**
 * Runs the page in a real Chromium.
 *
 * `npm run e2e` checks everything against the made-up shop; with `SLUICE_URL`
 * it checks a running warehouse, as far as its numbers are not known before.
 * `npm run e2e -- WORD` runs the checks with that word in their name.
 */

import { SHOTS } from './browser.mjs';

const suites = process.env.SLUICE_URL ? ['./real.checks.mjs', './work.checks.mjs', './explore.checks.mjs'] : ['./live.checks.mjs', './own.checks.mjs', './alarms.checks.mjs', './tracker.checks.mjs'];
const wanted = process.argv[2] ?? '';

/** Those that failed. */
async function run(checks) {
  const failed = [];
  for (const [name, check] of checks) {
    const started = performance.now();
    try {
      await check();
      console.log(`ok    ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed.push([name, check]);
      console.log(`FAIL  ${name}\n      ${error.stack ?? error}`);
    }
  }
  return failed;
}

const found = [];
for (const suite of suites) {
  const { checks } = await import(suite);
  found.push(...Object.entries(checks).filter(([name]) => name.includes(wanted)));
}
let failed = await run(found);
if (failed.length > 0) {
  // Some have a time limit, which a busy machine may miss once.
  console.log(`WARNING: ${failed.length} of ${found.length} checks failed; trying them once more`);
  failed = await run(failed);
}
console.log(`screenshots: ${SHOTS}`);
process.exit(failed.length > 0 ? 1 : 0);
