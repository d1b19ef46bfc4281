/** The alarms as the warehouse tells them. */

import { answered } from '../live/requests';

export interface AlarmRule {
  readonly name: string;
  readonly title: string;
  readonly severity: string;
  readonly owner: string;
  readonly condition: string;
  readonly evaluated: string | null;
  readonly error: string | null;
}

export interface AlarmInstance {
  readonly alarm: string;
  readonly severity: string;
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
  readonly message: string;
  readonly since: string;
  readonly resolved: string | null;
  readonly silenced: boolean;
}

export interface Silence {
  readonly id: number;
  readonly alarm: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly until: string;
  readonly comment: string;
  readonly by: string;
}

export interface Alarms {
  readonly alarms: readonly AlarmRule[];
  readonly instances: readonly AlarmInstance[];
  readonly silences: readonly Silence[];
  readonly undelivered: readonly { readonly to: string; readonly error: string }[];
}

const ADDRESS = '/api/v1/alarms';

export async function alarms(): Promise<Alarms> {
  return (await (await answered(await fetch(ADDRESS, { cache: 'no-store' }))).json()) as Alarms;
}

/** An empty alarm means all of them. */
export async function silence(alarm: string, length: string, comment: string): Promise<void> {
  const body = JSON.stringify({ ...(alarm === '' ? {} : { alarm }), for: length, comment, by: 'page' });
  await answered(await fetch(`${ADDRESS}/silences`, { method: 'POST', headers: { 'content-type': 'application/json' }, body }));
}

export async function endSilence(id: number): Promise<void> {
  await answered(await fetch(`${ADDRESS}/silences/${id}`, { method: 'DELETE' }));
}

/** Labels for people: `channel=app, os=iOS`. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(', ');
}
