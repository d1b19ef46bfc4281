/** What every part of the page is given. */

import type { Format, Messages } from '../i18n';
import type { LiveShop } from '../model/live-shop';

export interface Context {
  readonly shop: LiveShop;
  readonly messages: Messages;
  readonly format: Format;
}

/** A part of the page. */
export interface Part {
  readonly element: HTMLElement;
  /** Something changed. */
  draw(): void;
  /** The colours changed. */
  restyle?(): void;
  dispose?(): void;
}
