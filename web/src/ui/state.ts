/** The one word that says how the page is doing. */

import type { LiveShop } from '../model/live-shop';

export type StateKind = 'connecting' | 'live' | 'waiting' | 'refused' | 'filling' | 'quiet' | 'empty' | 'absent';

export function stateOf(shop: LiveShop): StateKind {
  if (shop.isAbsent) return 'absent';
  const { kind } = shop.connection;
  if (kind === 'connecting') return shop.wasLost ? 'waiting' : 'connecting';
  if (kind !== 'live' || !shop.isComplete) return kind === 'live' ? 'connecting' : kind;
  const activity = shop.activity();
  return activity.kind === 'current' ? 'live' : activity.kind;
}
