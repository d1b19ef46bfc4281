/** Alarms as the warehouse tells them, made up. For tests only. */

export class MockAlarms {
  alarms = [
    { name: 'orders_fell', title: 'Fewer orders than a week ago', severity: 'critical', owner: 'sales', condition: 'fell by 50% against last week', sql: 'SELECT 1', evaluated: '2026-11-20T06:36:00.000Z', error: null },
    { name: 'disk_low', title: 'The disk is nearly full', severity: 'warning', owner: 'data', condition: 'below 0.1', sql: 'SELECT 1', evaluated: '2026-11-20T06:36:00.000Z', error: null },
  ];
  instances = [
    { alarm: 'orders_fell', title: 'Fewer orders than a week ago', severity: 'critical', owner: 'sales', labels: { channel: 'app' }, state: 'firing', value: 12, before: 40, message: '12 orders from app, 40 a week ago', since: '2026-11-20T06:30:00.000Z', fired: '2026-11-20T06:31:00.000Z', resolved: null, delivered: null, silenced: false },
    { alarm: 'disk_low', title: 'The disk is nearly full', severity: 'warning', owner: 'data', labels: {}, state: 'resolved', value: 0.2, before: null, message: '<img src=x onerror=alert(1)> of the disk is free', since: '2026-11-19T06:30:00.000Z', fired: '2026-11-19T06:30:00.000Z', resolved: '2026-11-19T07:30:00.000Z', delivered: null, silenced: false },
  ];
  silences = [];
  undelivered = [{ to: 'mail sales', error: 'the server does not answer' }];
  /** The next request to change something is refused with these words. */
  refusal = '';

  answer() {
    const isSilenced = (one) => this.silences.some(({ alarm }) => alarm === null || alarm === one.alarm);
    return { alarms: this.alarms, instances: this.instances.map((one) => ({ ...one, silenced: isSilenced(one) })), silences: this.silences, undelivered: this.undelivered };
  }

  silence({ alarm = null, labels = {}, comment = '', by = '' }) {
    const id = this.silences.length + 1;
    this.silences.push({ id, alarm, labels, from: '2026-11-20T06:36:00.000Z', until: '2026-11-20T08:36:00.000Z', comment, by });
    return this.silences.at(-1);
  }
}
