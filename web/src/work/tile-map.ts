/** A map of provinces as tiles: every province one square about where it lies. Small ones are seen as well as large ones, and there is no outline to be wrong. */

import { ENGLISH_PROVINCES } from '../i18n/provinces';
import { h } from '../ui/dom';

/** ISO 3166-2 codes: English names have no room. */
const CODES: Readonly<Record<string, string>> = {
  北京: 'BJ', 天津: 'TJ', 河北: 'HE', 山西: 'SX', 内蒙古: 'NM', 辽宁: 'LN', 吉林: 'JL', 黑龙江: 'HL', 上海: 'SH', 江苏: 'JS', 浙江: 'ZJ', 安徽: 'AH',
  福建: 'FJ', 江西: 'JX', 山东: 'SD', 河南: 'HA', 湖北: 'HB', 湖南: 'HN', 广东: 'GD', 广西: 'GX', 海南: 'HI', 重庆: 'CQ', 四川: 'SC', 贵州: 'GZ',
  云南: 'YN', 西藏: 'XZ', 陕西: 'SN', 甘肃: 'GS', 青海: 'QH', 宁夏: 'NX', 新疆: 'XJ', 香港: 'HK', 澳门: 'MO', 台湾: 'TW',
};

/** Row and column of each tile. */
const TILES: Readonly<Record<string, readonly [number, number]>> = {
  黑龙江: [0, 8], 新疆: [1, 0], 内蒙古: [1, 5], 吉林: [1, 8],
  甘肃: [2, 2], 宁夏: [2, 3], 山西: [2, 5], 河北: [2, 6], 北京: [1, 6], 天津: [2, 7], 辽宁: [1, 7],
  青海: [3, 1], 陕西: [3, 4], 河南: [3, 5], 山东: [3, 6], 江苏: [3, 7],
  西藏: [4, 0], 四川: [4, 2], 重庆: [4, 3], 湖北: [4, 5], 安徽: [4, 6], 浙江: [4, 7], 上海: [4, 8],
  贵州: [5, 3], 湖南: [5, 5], 江西: [5, 6], 福建: [5, 7],
  云南: [6, 2], 广西: [6, 4], 广东: [6, 5], 香港: [6, 6], 台湾: [6, 8],
  澳门: [7, 5], 海南: [7, 4],
};

export interface TileValue {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  readonly open?: (() => void) | undefined;
}

const ENDINGS = /(维吾尔自治区|壮族自治区|回族自治区|特别行政区|自治区|省|市)$/;

export function tileMap(label: string, values: readonly TileValue[], isChinese: boolean): HTMLElement {
  const known = new Map(values.map((value) => [value.name.replace(ENDINGS, ''), value]));
  const most = Math.max(1e-9, ...values.map(({ value }) => value).filter(Number.isFinite));
  const tiles = Object.entries(TILES).map(([name, [row, column]]) => {
    const found = known.get(name);
    // The square root: the largest would leave all others pale.
    const share = found && found.value > 0 ? Math.sqrt(found.value / most) : 0;
    const english = ENGLISH_PROVINCES[name] ?? name;
    const title = `${isChinese ? name : english}: ${found?.text ?? '–'}`;
    const tile = h('button', { type: 'button', class: share > 0.55 ? 'tile-province is-strong' : 'tile-province', title, 'aria-label': title, style: `grid-area:${row + 1}/${column + 1};--share:${share.toFixed(3)}`, disabled: found?.open === undefined }, h('span', { 'aria-hidden': 'true' }, isChinese ? name : (CODES[name] ?? '')));
    if (found?.open) tile.addEventListener('click', found.open);
    return tile;
  });
  return h('div', { class: 'tile-map', role: 'group', 'aria-label': label }, ...tiles);
}
