//! Currencies in which members pay, and what they are worth: a table of rates by
//! day. Some days' rates come late, some are wrong at first.

use crate::facts::Fact;
use crate::message::{Message, RowChange, row};
use crate::random::Random;
use crate::shop::{Event, Shop};
use crate::time::{DAY_US, Local};

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
/// A rate's unit: one of the shop's own currency for one of another.
pub(crate) const RATE_ONE: i64 = 1_000_000;

/// A currency that members pay in.
pub(crate) struct Currency {
    pub(crate) code: &'static str,
    /// What it is worth about, in millionths of the shop's own currency; the lists
    /// of prices are made with this.
    list_rate: i64,
    /// Amounts are multiples of so many hundredths.
    step: i64,
}

/// The first one is the shop's own.
const CURRENCIES: [Currency; 5] = [
    currency("CNY", RATE_ONE, 1),
    currency("USD", 7_123_400, 1),
    currency("EUR", 8_241_750, 1),
    currency("HKD", 912_345, 1),
    // Nobody pays with parts of a yen.
    currency("JPY", 47_613, 100),
];

const fn currency(code: &'static str, list_rate: i64, step: i64) -> Currency {
    Currency {
        code,
        list_rate,
        step,
    }
}

impl Currency {
    /// The currency with that place in the list.
    pub(crate) fn at(place: u8) -> &'static Self {
        let place = usize::from(place) % CURRENCIES.len();
        &CURRENCIES[place]
    }

    /// A price of the shop's own list, in this currency.
    pub(crate) fn price(&self, own_cents: i64) -> i64 {
        if self.list_rate == RATE_ONE {
            return own_cents;
        }
        let parts = (own_cents * RATE_ONE).div_euclid(self.list_rate) + 1;
        parts.div_euclid(self.step).max(1) * self.step
    }

    /// The largest amount that can be paid and is not above `cents`.
    pub(crate) fn cut(&self, cents: i64) -> i64 {
        cents / self.step * self.step
    }
}

/// What an amount is worth in the shop's own currency, halves up.
pub(crate) fn worth(cents: i64, rate: i64) -> i64 {
    match rate {
        RATE_ONE => cents,
        _ => (cents * rate + RATE_ONE / 2).div_euclid(RATE_ONE),
    }
}

/// How the rate of a day comes to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Publication {
    AtMidnight,
    /// In the morning, when orders of the day wait for it.
    Late,
    /// As another one, which is corrected in the morning.
    Wrong,
}

impl Shop {
    /// The currency of a member: its place in the list.
    pub(crate) fn currency_of(&self, user: u64) -> u8 {
        if !self.options.several_currencies {
            return 0;
        }
        match user % 25 {
            3 | 9 => 1,
            5 | 16 => 2,
            11 => 3,
            22 => 4,
            _ => 0,
        }
    }

    /// What a currency is worth on a day, from the shop's seed alone.
    pub(crate) fn rate(&self, place: u8, day: i64) -> i64 {
        let list_rate = Currency::at(place).list_rate;
        match place {
            0 => RATE_ONE,
            _ => list_rate + list_rate * self.rate_chance(place, day).between(-200, 200) / 10_000,
        }
    }

    fn rate_chance(&self, place: u8, day: i64) -> Random {
        let day = (day as u64).wrapping_mul(0x5851_f42d_4c95_7f2d);
        Random::new(self.options.seed ^ day ^ u64::from(place) << 56)
    }

    fn publication(&self, place: u8, day: i64) -> Publication {
        let mut chance = self.rate_chance(place, day);
        // The first draw is the rate's.
        let _ = chance.next();
        match chance.below(10) {
            0 | 1 => Publication::Late,
            2 | 3 => Publication::Wrong,
            _ => Publication::AtMidnight,
        }
    }

    /// The rates of the first day, and plans those of the others.
    pub(crate) fn open_rates(&mut self, time_us: i64, rows: &mut Vec<(&'static str, String)>) {
        if !self.options.several_currencies {
            return;
        }
        let local = self.local(time_us);
        for place in 1..CURRENCIES.len() as u8 {
            let rate = self.rate(place, local.day);
            self.note_rate(time_us, place, local.day, rate);
            let now = local.text();
            let data = rate_row(place, local.day, rate, [&now, &now]);
            rows.push(("currency_rate", data));
        }
        self.plan(midnight_after(time_us, local), Event::NewRates);
    }

    /// A day begins.
    pub(crate) fn publish_rates(&mut self, time_us: i64, messages: &mut Vec<Message>) {
        let local = self.local(time_us);
        self.plan(midnight_after(time_us, local), Event::NewRates);
        let now = local.text();
        for place in 1..CURRENCIES.len() as u8 {
            let rate = match self.publication(place, local.day) {
                Publication::AtMidnight => self.rate(place, local.day),
                Publication::Late => {
                    self.plan(time_us + 8 * HOUR_US, Event::MendRate(place, None));
                    continue;
                }
                Publication::Wrong => {
                    let rate = self.rate(place, local.day - 1);
                    let mend = Event::MendRate(place, Some((rate, now.clone())));
                    self.plan(time_us + 9 * HOUR_US, mend);
                    rate
                }
            };
            let data = rate_row(place, local.day, rate, [&now, &now]);
            self.note_rate(time_us, place, local.day, rate);
            let change = RowChange::insert("currency_rate", data);
            self.send_changes(time_us, &[change], messages);
        }
    }

    /// The right rate of the day comes; `wrong` is the one before it and when that
    /// came.
    pub(crate) fn mend_rate(
        &mut self,
        time_us: i64,
        place: u8,
        wrong: Option<(i64, String)>,
        messages: &mut Vec<Message>,
    ) {
        let local = self.local(time_us);
        let now = local.text();
        let rate = self.rate(place, local.day);
        let change = match wrong {
            None => {
                let data = rate_row(place, local.day, rate, [&now, &now]);
                RowChange::insert("currency_rate", data)
            }
            Some((wrong, _)) if wrong == rate => return,
            Some((wrong, since)) => {
                let data = rate_row(place, local.day, rate, [&since, &now]);
                let old = row(|old| {
                    old.raw("rate", &rate_text(wrong))
                        .text("operate_time", &since);
                });
                RowChange::update("currency_rate", data, old)
            }
        };
        self.note_rate(time_us, place, local.day, rate);
        self.send_changes(time_us, &[change], messages);
    }

    fn note_rate(&mut self, time_us: i64, place: u8, day: i64, rate: i64) {
        let currency = Currency::at(place).code;
        self.facts.note(time_us, || Fact::Rate {
            currency,
            day,
            rate,
        });
    }
}

/// Two seconds after the next midnight.
fn midnight_after(time_us: i64, local: Local) -> i64 {
    let begin_us = time_us.div_euclid(SECOND_US) * SECOND_US - local.second * SECOND_US;
    begin_us + DAY_US + 2 * SECOND_US
}

/// Millionths as a decimal.
fn rate_text(rate: i64) -> String {
    format!("{}.{:06}", rate / RATE_ONE, rate % RATE_ONE)
}

/// The row of `currency_rate`; `times` are of its creation and its last change.
fn rate_row(place: u8, day: i64, rate: i64, times: [&str; 2]) -> String {
    let midnight = Local { day, second: 0 }.text();
    row(|data| {
        data.text("currency", Currency::at(place).code)
            .text("day", &midnight[..10])
            .raw("rate", &rate_text(rate))
            .text("create_time", times[0])
            .text("operate_time", times[1]);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_converted_to_the_nearest_cent() {
        assert_eq!(worth(1_899, 7_850_000), 14_907);
        assert_eq!(worth(333, 7_850_000), 2_614);
        // Half a cent is one.
        assert_eq!(worth(1, 500_000), 1);
        assert_eq!(worth(1, 499_999), 0);
        let yen = Currency::at(4);
        assert_eq!(yen.price(3_900), 81_900);
        assert_eq!(yen.cut(8_190), 8_100);
        assert_eq!(Currency::at(0).price(3_900), 3_900);
    }
}
