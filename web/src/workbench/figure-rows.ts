/** From the figures of the live shop to the rows that they are made of: the details of the panels that show the same. */

import type { RowsBehind } from '../ui/context';
import { panels, type Panel } from './api';
import type { WorkContext } from './context';
import { openDetail } from './detail';

/** A warehouse without a panel, or without its detail, has no rows behind its figures; the page is drawn every second, so that it may be known later. */
export function figureRows(context: WorkContext): RowsBehind {
  let known: ReadonlyMap<string, Panel> = new Map();
  panels().then(
    (all) => {
      known = new Map(all.filter(({ detail }) => detail).map((panel) => [panel.name, panel]));
    },
    () => {
      // The figures are right without them; the page of panels says what is wrong.
    },
  );
  return {
    has: (name) => known.has(name),
    label: context.texts.rowsBehind,
    open: ({ panel: name, countsFor }, title, chosen) => {
      const panel = known.get(name);
      if (!panel) return;
      const { day } = context.shop.now();
      const days = panel.parameters.filter((parameter) => ['day', 'from', 'to'].includes(parameter.name)).map((parameter) => [parameter.name, day] as const);
      openDetail(context, panel, { ...Object.fromEntries(days), ...chosen }, panel.columns, undefined, { name: title, countsFor });
    },
  };
}
