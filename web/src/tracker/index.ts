/**
 * The tracker: one script for any page.
 *
 * `<script src="/tracker.js" data-topic="app_log" data-channel="web" async></script>`
 */

import { makeEvents, type Fields } from './events';
import { makeIdentity, uuid } from './identity';
import { currentPage, watchActions, watchDisplays, watchErrors, watchViews } from './page-watch';
import { BATCH_LENGTH_MAX, makeQueue } from './queue';

type Command = [name: string, value?: unknown];
interface Sluice {
  (...command: Command): void;
  /** What was called before this script had come. */
  q?: ArrayLike<unknown>[];
}

declare global {
  interface Window {
    sluice?: Sluice;
    doNotTrack?: string;
  }
  interface Navigator {
    globalPrivacyControl?: boolean;
  }
}

const REQUEST_MS_MAX = 15_000;

function mayNotTrack(): boolean {
  const asked = navigator.doNotTrack ?? window.doNotTrack;
  return navigator.globalPrivacyControl === true || asked === '1' || asked === 'yes';
}

function browserStorage(): Storage | undefined {
  try {
    localStorage.setItem('sluice.test', '1');
    localStorage.removeItem('sluice.test');
    return localStorage;
  } catch {
    return undefined;
  }
}

/** Enough to tell kinds of devices apart; nothing that tells a person. */
function machine(): Fields {
  const agent = navigator.userAgent;
  const first = (...names: [form: RegExp, name: string][]) => names.find(([form]) => form.test(agent))?.[1];
  return {
    ba: first([/Edg\//, 'Edge'], [/Firefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari']) ?? 'other',
    md: /Mobi|Android|iPhone/.test(agent) ? 'phone' : 'computer',
    os: first([/Windows/, 'Windows'], [/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']) ?? 'other',
  };
}

function begin(script: HTMLScriptElement | null): Sluice {
  const option = (name: string) => script?.dataset[name];
  const key = option('key');
  const base = option('endpoint') ?? new URL('/collect/', script?.src || location.href).href;
  const address = `${base.replace(/\/?$/, '/')}${option('topic') ?? 'app_log'}${key ? `?key=${encodeURIComponent(key)}` : ''}`;
  const storage = browserStorage();

  // As plain text a request to another host needs no question beforehand.
  const send = (body: string) => {
    const aborter = new AbortController();
    const timer = setTimeout(() => aborter.abort(), REQUEST_MS_MAX);
    const request = { method: 'POST', body, headers: { 'content-type': 'text/plain' }, credentials: 'omit', keepalive: body.length <= BATCH_LENGTH_MAX, signal: aborter.signal } as const;
    return fetch(address, request)
      .then((answer) => [answer.status, answer.headers.get('retry-after')] as const)
      .finally(() => clearTimeout(timer));
  };
  const queue = makeQueue({ send, storage, now: Date.now, random: Math.random, later: (work, ms) => setTimeout(work, ms) }, uuid());
  addEventListener('online', queue.online);
  addEventListener('pagehide', () => queue.leave((body) => navigator.sendBeacon?.(address, body)));

  const campaign = new URLSearchParams(location.search);
  const common: Fields = {
    ...machine(),
    ar: option('area'),
    ch: option('channel') ?? 'web',
    vc: option('version') ?? '1',
    uid: option('uid'),
    utm_source: campaign.get('utm_source') ?? undefined,
    utm_campaign: campaign.get('utm_campaign') ?? undefined,
  };
  const events = makeEvents(common, makeIdentity(storage, Date.now), Date.now, queue.add);

  const list = (value: unknown) => (Array.isArray(value) ? value : [value]) as Fields[];
  const commands: Record<string, (value: unknown) => void> = {
    page: (value) => events.page({ ...currentPage(), ...(value as Fields) }),
    display: (value) => events.displays(list(value)),
    action: (value) => events.actions(list(value)),
    error: (value) => events.error(value as Fields),
    start: (value) => events.start(value as Fields),
    set: (value) => Object.assign(common, value),
    /** The member's id, or nothing after logging out. */
    identify: (value) => (common['uid'] = value == null ? undefined : String(value)),
    flush: () => queue.flush(),
  };
  const run = (...[name, value]: Command) => commands[name]?.(value);

  for (const early of window.sluice?.q ?? []) run(...(Array.from(early) as Command));
  const watch = () => {
    const sendDisplays = watchDisplays(events);
    if (option('auto') !== 'false') watchViews(events, sendDisplays);
    watchActions(events);
    watchErrors(events);
  };
  if (document.body) watch();
  else addEventListener('DOMContentLoaded', watch);
  return run;
}

// People who do not want to be followed are not: nothing is stored, nothing is sent.
window.sluice = mayNotTrack() ? () => undefined : begin(document.currentScript as HTMLScriptElement | null);
