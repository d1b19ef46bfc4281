import { describe, expect, it } from 'vitest';
import { BusinessClock, addDays, minuteText } from '../src/model/business-time';

const clock = (zone: string, now = 0) => new BusinessClock(zone, undefined, () => now);

describe('business time', () => {
  it('cuts days in the zone of the shop, not at midnight of UTC', () => {
    expect(clock('Asia/Shanghai').momentOf(Date.parse('2026-11-19T15:59:59.999Z'))).toEqual({ day: '2026-11-19', minute: 1439, second: 59 });
    expect(clock('Asia/Shanghai').momentOf(Date.parse('2026-11-19T16:00:00Z'))).toEqual({ day: '2026-11-20', minute: 0, second: 0 });
    expect(clock('America/New_York').momentOf(Date.parse('2026-11-20T03:30:05Z'))).toEqual({ day: '2026-11-19', minute: 22 * 60 + 30, second: 5 });
  });

  it('knows when a day begins, also where clocks change', () => {
    expect(new Date(clock('Asia/Shanghai').startOfDayMs('2026-11-20')).toISOString()).toBe('2026-11-19T16:00:00.000Z');
    expect(new Date(clock('Europe/Berlin').startOfDayMs('2026-03-29')).toISOString()).toBe('2026-03-28T23:00:00.000Z');
    expect(new Date(clock('Europe/Berlin').startOfDayMs('2026-03-30')).toISOString()).toBe('2026-03-29T22:00:00.000Z');
    expect(new Date(clock('Europe/Berlin').startOfDayMs('2026-10-26')).toISOString()).toBe('2026-10-25T23:00:00.000Z');
    expect(new Date(clock('Asia/Kolkata').startOfDayMs('2026-11-20')).toISOString()).toBe('2026-11-19T18:30:00.000Z');
  });

  it('goes by the warehouse, not by the clock of this machine', () => {
    let machine = Date.parse('2026-11-20T03:00:00Z');
    const warehouse = new BusinessClock('UTC', '2026-11-20T23:59:58Z', () => machine);
    expect(warehouse.now()).toEqual({ day: '2026-11-20', minute: 1439, second: 58 });
    machine += 2_000;
    expect(warehouse.now()).toEqual({ day: '2026-11-21', minute: 0, second: 0 });
  });

  it('moves days over months, years and leap days', () => {
    expect(addDays('2026-11-01', -1)).toBe('2026-10-31');
    expect(addDays('2027-01-01', -1)).toBe('2026-12-31');
    expect(addDays('2028-03-01', -1)).toBe('2028-02-29');
    expect(addDays('2026-03-29', 1)).toBe('2026-03-30');
  });

  it('lives with a zone that the browser does not know', () => {
    expect(clock('Mars/Olympus').timeZone).toBe('UTC');
  });

  it('writes minutes', () => {
    expect(minuteText(0)).toBe('00:00');
    expect(minuteText(754)).toBe('12:34');
    expect(minuteText(1440)).toBe('24:00');
  });
});
