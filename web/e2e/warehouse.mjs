/** A running warehouse with the built-in models, and what checks ask of it and of its page. */

import assert from 'node:assert/strict';
import { until } from './browser.mjs';

export const url = process.env.SLUICE_URL?.replace(/\/$/, '') ?? '';
export const WAIT_MS = 30_000;

export async function sql(statement) {
  const answer = await fetch(`${url}/api/v1/sql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: statement }) });
  assert.equal(answer.status, 200, `${statement}: ${await answer.clone().text()}`);
  return (await answer.json()).rows;
}

export async function panels() {
  return (await (await fetch(`${url}/api/v1/panels`)).json()).panels;
}

export async function today() {
  const { now, time_zone } = await (await fetch(`${url}/api/v1/info`)).json();
  return new Intl.DateTimeFormat('en-CA', { timeZone: time_zone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(new Date(now));
}

/** A day whose numbers no longer move. */
export async function yesterday() {
  const [[day]] = await sql('SELECT max(day) - 1 FROM ads_live_day');
  return day;
}

export const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
export const isDrawn = (page, selector) => until(page, (wanted) => document.querySelector(wanted) !== null, selector, WAIT_MS, selector);

/** All cards of the page have an answer. */
export const allAnswered = (page) =>
  until(
    page,
    () => {
      const cards = [...document.querySelectorAll('[data-panel]')];
      return cards.length > 0 && cards.every((card) => card.dataset.epoch !== undefined);
    },
    undefined,
    WAIT_MS,
    'answers of all panels',
  );
