/** What is said where the warehouse did not answer. */

import type { WorkMessages } from '../i18n/work';
import { RequestError } from '../live/requests';
import { h } from '../ui/dom';

/** Which role is needed, where the role is why. */
export function roleText(texts: WorkMessages, error: unknown): string | undefined {
  const needed = error instanceof RequestError ? error.roleNeeded : undefined;
  return needed && texts.needsRole(texts.roles[needed]);
}

export function failureText(texts: WorkMessages, error: unknown): string {
  return roleText(texts, error) ?? texts.failed(error instanceof Error ? error.message : String(error));
}

export function failureLine(texts: WorkMessages, error: unknown): HTMLElement {
  return h('p', { class: 'none', role: 'alert' }, failureText(texts, error));
}
