/** Starts the page: one warehouse, drawn in one language, and drawn again when something changes. */

import './styles/tokens.css';
import './styles/frame.css';
import './styles/live.css';
import './styles/work.css';
import './styles/explore.css';
import { Format, MESSAGES, chooseLanguage, type Language } from './i18n';
import { WORK } from './i18n/work';
import { LiveShop } from './model/live-shop';
import { alarmsPage } from './pages/alarms-page';
import { cataloguePage } from './pages/catalogue-page';
import { elsewherePage } from './pages/elsewhere-page';
import { explorePage } from './pages/explore-page';
import { healthPage } from './pages/health-page';
import { livePage } from './pages/live-page';
import { panelsPage } from './pages/panels-page';
import { sqlPage } from './pages/sql-page';
import { waitingPage } from './pages/waiting-page';
import { wallPage } from './pages/wall-page';
import { routeOf, siteOf, type Route, type Site } from './route';
import { banner } from './ui/banner';
import type { Part } from './ui/context';
import { h } from './ui/dom';
import { footer } from './ui/footer';
import { header } from './ui/header';
import { navigation } from './ui/navigation';
import { applyTheme, readSetting, saveSetting, savedTheme } from './ui/settings';
import type { WorkContext } from './workbench/context';
import { Writer } from './workbench/writer';

const TICK_MS = 1_000;
const FOOTER_MS = 200;
/** Changes may come a hundred times a second; eyes need fewer. */
const DRAW_MS_MIN = 80;

const shop = new LiveShop(requestDraw, build);
/** Where the page was drawn last. */
let shown: Route | undefined;
let language: Language = chooseLanguage(readSetting('language'), navigator.languages);
let parts: Part[] = [];
let isRequested = false;
let drawnMs = -Infinity;
/** Formats are of the shop's currency and zone, which are known only after its first answer. */
let builtFor = '';

function build(): void {
  const focused = document.activeElement?.id;
  for (const part of parts) part.dispose?.();
  const messages = MESSAGES[language];
  const { currency = 'CNY' } = shop.info ?? {};
  const { timeZone } = shop.clock;
  const site = knownSite();
  const context: WorkContext = { shop, messages, role: shop.info?.role ?? 'reader', format: new Format(messages.locale, currency, timeZone), texts: WORK[language], writer: new Writer(language, currency, timeZone) };
  const route = site && routeOf(location.hash, site);
  const switchLanguage = () => {
    language = language === 'en' ? 'zh' : 'en';
    saveSetting('language', language);
    build();
  };
  const page = site && route ? pageOf(site, route, context) : waitingPage(context);
  shown = route;
  const head = header(context, { onLanguage: switchLanguage, onTheme: restyle });
  parts = [head, navigation(context, site, route), banner(context), page, footer(context)];
  const skip = h('a', { class: 'skip', href: '#numbers' }, messages.skip);
  // The rest of the address is the page's: it must stay.
  skip.addEventListener('click', (event) => {
    event.preventDefault();
    page.element.focus();
  });
  document.body.dataset['page'] = route?.page ?? 'waiting';
  document.documentElement.lang = messages.locale;
  document.title = [route && context.texts.nav[route.page], shop.info?.name, 'Sluice'].filter(Boolean).join(' · ');
  document.body.replaceChildren(skip, ...parts.map(({ element }) => element));
  builtFor = stamp();
  if (focused) document.getElementById(focused)?.focus();
  draw();
}

/** The pages that there are, as soon as the warehouse has said what it has. */
function knownSite(): Site | undefined {
  const { info, isAbsent } = shop;
  return info && siteOf({ hasShop: !isAbsent, hasPanels: info.panels.length > 0, role: info.role });
}

function pageOf(site: Site, route: Route, context: WorkContext): Part {
  const { page, part, lack } = route;
  if (lack !== undefined) return elsewherePage(context, site, page, lack);
  switch (page) {
    case 'panels':
      return panelsPage(context, part);
    case 'wall':
      return wallPage(context);
    case 'explore':
      return explorePage(context);
    case 'sql':
      return sqlPage(context);
    case 'catalogue':
      return cataloguePage(context, part, shown?.page === page && shown.part !== part);
    case 'alarms':
      return alarmsPage(context);
    case 'health':
      return healthPage(context);
    case 'live':
      return livePage(context);
  }
}

function stamp(): string {
  return `${language} ${shop.info?.currency ?? ''} ${shop.clock.timeZone}`;
}

function requestDraw(): void {
  if (isRequested) return;
  isRequested = true;
  // A page that nobody sees is not drawn: animation frames wait for it.
  setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawnMs + DRAW_MS_MIN - performance.now()));
}

function draw(): void {
  isRequested = false;
  drawnMs = performance.now();
  if (builtFor !== stamp()) {
    build();
    return;
  }
  for (const part of parts) part.draw();
}

function restyle(): void {
  for (const part of parts) part.restyle?.();
}

applyTheme(savedTheme());
build();
shop.start();
setInterval(() => {
  shop.tick();
  requestDraw();
}, TICK_MS);
setInterval(() => parts.at(-1)?.draw(), FOOTER_MS);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', restyle);
addEventListener('hashchange', () => {
  build();
  scrollTo(0, 0);
});
addEventListener('online', () => {
  if (shop.connection.kind === 'waiting') shop.retry();
});
