/** What a role may do. The warehouse decides; the page only offers what it will not refuse. */

import type { AccessRole } from '../live/protocol';

const ROLES: readonly AccessRole[] = ['reader', 'analyst', 'admin'];

function isAtLeast(role: AccessRole, needed: AccessRole): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** SQL of one's own, which Explore asks too, and panels of one's own. */
export function mayAskSql(role: AccessRole): boolean {
  return isAtLeast(role, 'analyst');
}

/** What changes something: silences, trying dead letters again. */
export function mayChange(role: AccessRole): boolean {
  return isAtLeast(role, 'admin');
}
