/** Single questions to the warehouse. */

import { problemOf } from './connection';
import type { AccessRole, Info, SqlAnswer } from './protocol';

export class RequestError extends Error {
  constructor(
    readonly status: number,
    detail: string,
    /** The least role that is answered, where another one would be. */
    readonly roleNeeded: AccessRole | undefined,
  ) {
    super(detail);
  }
}

/** The same answer, if it is a good one. */
export async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  const { detail, roleNeeded } = await problemOf(response);
  throw new RequestError(response.status, detail, roleNeeded);
}

async function json<T>(address: string, init?: RequestInit): Promise<T> {
  const response = await answered(await fetch(address, { cache: 'no-store', ...init }));
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
