/** What a row of a panel says of the rows behind it. */

import type { Row } from '../live/protocol';
import type { Panel, PanelColumn, Values } from './api';

/** The values that hold for the panel, and those of the row that was chosen. The figures of the row choose nothing: they are what its rows add up to. */
export function valuesOfRow(panel: Panel, values: Values, columns: readonly PanelColumn[], row: Row | undefined): Values {
  const asked: Record<string, string | null> = { ...values };
  columns.forEach(({ name, role }, place) => {
    const cell = row?.[place];
    if (role === 'value' || cell === undefined) return;
    if (cell !== null) asked[name] = String(cell);
    // A parameter that has a value has chosen already.
    else if (!hasValue(panel, values, name)) asked[name] = null;
  });
  return asked;
}

function hasValue(panel: Panel, values: Values, name: string): boolean {
  return values[name] !== undefined || panel.parameters.some((parameter) => parameter.name === name && parameter.value !== null);
}
