/** Exact decimal numbers: money comes as text and is never a float. */

export interface Decimal {
  /** The value times ten to the power of `scale`. */
  readonly units: bigint;
  readonly scale: number;
}

export const ZERO: Decimal = { units: 0n, scale: 0 };

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/;

/** Reads a number as the server writes it: text, a JSON number, or null for nothing. */
export function parseDecimal(value: string | number | boolean | null | undefined): Decimal {
  if (value === null || value === undefined || typeof value === 'boolean') return ZERO;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { units: BigInt(value), scale: 0 };
  const match = FORM.exec(String(value).trim());
  const whole = match?.[2] ?? '';
  const fraction = match?.[3] ?? '';
  if (!match || (whole === '' && fraction === '')) return ZERO;
  const digits = BigInt(whole + fraction);
  const scale = fraction.length - Number(match[4] ?? 0);
  const signed = match[1] === '-' ? -digits : digits;
  return scale >= 0 ? { units: signed, scale } : { units: signed * 10n ** BigInt(-scale), scale: 0 };
}

function unitsAt(value: Decimal, scale: number): bigint {
  return value.scale === scale ? value.units : value.units * 10n ** BigInt(scale - value.scale);
}

export function add(left: Decimal, right: Decimal): Decimal {
  const scale = Math.max(left.scale, right.scale);
  return { units: unitsAt(left, scale) + unitsAt(right, scale), scale };
}

export function subtract(left: Decimal, right: Decimal): Decimal {
  return add(left, { units: -right.units, scale: right.scale });
}

/** `value` as often as `weight` says; a row that goes has a negative weight. */
export function times(value: Decimal, weight: number): Decimal {
  return { units: value.units * BigInt(weight), scale: value.scale };
}

export function compare(left: Decimal, right: Decimal): number {
  const scale = Math.max(left.scale, right.scale);
  const difference = unitsAt(left, scale) - unitsAt(right, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The part of `value` that `numerator` of `denominator` is, cut to its digits. */
export function portion(value: Decimal, numerator: number, denominator: number): Decimal {
  return { units: (value.units * BigInt(numerator)) / BigInt(denominator), scale: value.scale };
}

/** For drawing only. */
export function toNumber(value: Decimal): number {
  return Number(toText(value));
}

export function toText(value: Decimal): string {
  const negative = value.units < 0n;
  const digits = (negative ? -value.units : value.units).toString().padStart(value.scale + 1, '0');
  const split = digits.length - value.scale;
  const text = value.scale === 0 ? digits : `${digits.slice(0, split)}.${digits.slice(split)}`;
  return negative ? `-${text}` : text;
}

/** The value on the way from one number to another, `share` between 0 and 1. */
export function between(from: Decimal, to: Decimal, share: number): Decimal {
  if (share >= 1) return to;
  const scale = Math.max(from.scale, to.scale);
  const start = unitsAt(from, scale);
  const way = unitsAt(to, scale) - start;
  return { units: start + (way * BigInt(Math.round(share * 10_000))) / 10_000n, scale };
}
