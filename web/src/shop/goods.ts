/** What the sample shop sells. */

import type { Language } from '../i18n';

export interface Good {
  readonly id: number;
  readonly category: 'kitchen' | 'desk' | 'outdoors';
  readonly name: Record<Language, string>;
  /** In cents. */
  readonly price: number;
  /** A drawing of one line on a field of 48 by 48. */
  readonly drawing: string;
}

export const GOODS: readonly Good[] = [
  { id: 1, category: 'kitchen', name: { en: 'Stoneware mug', zh: '粗陶马克杯' }, price: 4_900, drawing: 'M12 14h18v16a6 6 0 0 1-6 6h-6a6 6 0 0 1-6-6zM30 18h3a5 5 0 0 1 0 10h-3' },
  { id: 2, category: 'kitchen', name: { en: 'Steel bottle', zh: '不锈钢水壶' }, price: 12_900, drawing: 'M20 8h8v6h-8zM20 14c-4 3-5 5-5 9v15a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2V23c0-4-1-6-5-9M15 26h18' },
  { id: 3, category: 'kitchen', name: { en: 'Cast-iron pan', zh: '铸铁煎锅' }, price: 25_900, drawing: 'M18 30m-11 0a11 11 0 1 0 22 0a11 11 0 1 0-22 0M26 22L40 8M18 30m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0' },
  { id: 4, category: 'desk', name: { en: 'Desk lamp', zh: '台灯' }, price: 19_900, drawing: 'M14 40h16M22 40V26l-6-8M12 20l10-8 6 8-9 6zM26 17c4 0 7 3 7 6' },
  { id: 5, category: 'desk', name: { en: 'Notebook, dotted', zh: '点阵笔记本' }, price: 3_500, drawing: 'M14 8h20a2 2 0 0 1 2 2v28a2 2 0 0 1-2 2H14zM18 8v32M24 17h7M24 23h7M11 14h6M11 24h6M11 34h6' },
  { id: 6, category: 'outdoors', name: { en: 'Day pack', zh: '双肩包' }, price: 34_900, drawing: 'M12 40V22a12 12 0 0 1 24 0v18zM19 11a5 5 0 0 1 10 0M17 40V29h14v11M17 34h14' },
  { id: 7, category: 'outdoors', name: { en: 'Headlamp', zh: '头灯' }, price: 15_900, drawing: 'M7 20h8M33 20h8M15 14h18v12H15zM24 20m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M24 30v8M15 29l-5 6M33 29l5 6' },
  { id: 8, category: 'outdoors', name: { en: 'Two-person tent', zh: '双人帐篷' }, price: 89_900, drawing: 'M6 38L24 10l18 28zM24 10v10M24 20l-8 18M24 20l8 18' },
];

export const CATEGORIES = ['kitchen', 'desk', 'outdoors'] as const;
export type Category = (typeof CATEGORIES)[number];
