/** Single questions to the warehouse. */

import { problemDetail } from './connection';
import type { Info, SqlAnswer } from './protocol';

export class RequestError extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
}

async function json<T>(address: string, init?: RequestInit): Promise<T> {
  const response = await fetch(address, { cache: 'no-store', ...init });
  if (!response.ok) throw new RequestError(response.status, await problemDetail(response));
  return (await response.json()) as T;
}

export function info(): Promise<Info> {
  return json<Info>('/api/v1/info');
}

export function sql(statement: string): Promise<SqlAnswer> {
  return json<SqlAnswer>('/api/v1/sql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ sql: statement }),
  });
}

/** Names of everything that can be watched. */
export async function watchable(): Promise<Set<string>> {
  const { collections } = await json<{ collections: { name: string; kind: string }[] }>('/api/v1/catalog');
  return new Set(collections.filter(({ kind }) => kind !== 'query view').map(({ name }) => name));
}
