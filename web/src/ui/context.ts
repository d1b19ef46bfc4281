/** What every part of the page is given. */

import type { Format, Messages } from '../i18n';
import type { AccessRole } from '../live/protocol';
import type { LiveShop } from '../model/live-shop';

export interface Context {
  readonly shop: LiveShop;
  readonly messages: Messages;
  readonly format: Format;
  /** Of whoever looks at the page: what they may not do is not offered. */
  readonly role: AccessRole;
}

/** A figure: the panel whose detail are its rows, and which of them if there are several kinds. */
export interface FigureSource {
  readonly panel: string;
  readonly countsFor?: string | undefined;
}

/** Opens the rows behind figures of today. */
export interface RowsBehind {
  /** Whether there is a panel of this name, with rows. */
  has(panel: string): boolean;
  open(source: FigureSource, title: string, chosen?: Readonly<Record<string, string>>): void;
  readonly label: (title: string) => string;
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
