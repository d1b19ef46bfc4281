//! Activities and coupons: what they take off, of which goods, on what condition.

use crate::currencies::Currency;
use crate::message::Object;
use crate::order::{Line, Order};

/// What an offer takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// So many cents, from an amount of cents on.
    Full {
        /// The amount.
        from: i64,
        /// What is taken off.
        off: i64,
    },
    /// So many hundredths of the amount.
    Discount(i64),
    /// So many hundredths of the amount, from so many pieces on.
    ByNumber {
        /// The pieces.
        from: u32,
        /// Hundredths.
        percent: i64,
    },
}

impl Kind {
    pub(crate) fn activity_code(self) -> &'static str {
        match self {
            Self::Full { .. } => "3101",
            Self::Discount(_) => "3102",
            Self::ByNumber { .. } => "3103",
        }
    }

    pub(crate) fn coupon_code(self) -> &'static str {
        match self {
            Self::Full { from: 0, .. } => "3203",
            Self::Full { .. } => "3201",
            Self::Discount(_) | Self::ByNumber { .. } => "3202",
        }
    }
}

/// An activity, or what a coupon gives.
pub(crate) struct Offer {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

impl Offer {
    /// The columns of its condition and its benefit.
    pub(crate) fn conditions(&self, data: &mut Object<'_>) {
        match self.kind {
            Kind::Full { from, off } => {
                data.money("condition_amount", from)
                    .money("benefit_amount", off);
            }
            Kind::Discount(percent) => {
                data.money("condition_amount", 0)
                    .money("benefit_discount", percent * 100);
            }
            Kind::ByNumber { from, percent } => {
                data.number("condition_num", from)
                    .money("benefit_discount", percent * 100);
            }
        }
    }

    /// What it takes off each of the amounts, in that currency; `None` if its
    /// condition is not met.
    fn parts(&self, amounts: &[i64], pieces: u32, currency: &Currency) -> Option<Vec<i64>> {
        let sum: i64 = amounts.iter().sum();
        if sum <= 0 {
            return None;
        }
        let share = |percent: i64| {
            let parts = amounts.iter();
            let parts = parts.map(|amount| currency.cut(amount * percent / 100));
            Some(parts.collect())
        };
        match self.kind {
            Kind::Discount(percent) => share(percent),
            Kind::ByNumber { from, percent } if pieces >= from => share(percent),
            Kind::ByNumber { .. } => None,
            Kind::Full { from, off } => {
                let off = currency.price(off);
                if sum < currency.price(from) || off >= sum {
                    return None;
                }
                // By their amounts; the largest takes what rounding leaves.
                let mut parts: Vec<i64> = amounts
                    .iter()
                    .map(|amount| currency.cut(off * amount / sum))
                    .collect();
                let rest = off - parts.iter().sum::<i64>();
                let largest = (0..amounts.len()).max_by_key(|place| amounts[*place])?;
                parts[largest] += rest;
                Some(parts)
            }
        }
    }
}

/// A coupon: what it gives, and for what.
pub(crate) struct Coupon {
    pub(crate) offer: Offer,
    /// Code of what its range consists of.
    pub(crate) range_type: &'static str,
}

/// Categories and brands up to this one are in the range of a coupon.
const RANGE_MAX: u64 = 6;

impl Coupon {
    /// The ids of its range.
    pub(crate) fn ids(&self, spus: u64) -> Vec<u64> {
        match self.range_type {
            "3303" => (1..=spus).filter(|spu| is_product_in_range(*spu)).collect(),
            _ => (1..=RANGE_MAX).collect(),
        }
    }

    fn covers(&self, line: &Line) -> bool {
        match self.range_type {
            "3301" => line.category <= RANGE_MAX,
            "3302" => line.brand <= RANGE_MAX,
            _ => is_product_in_range(line.spu),
        }
    }
}

fn is_product_in_range(spu: u64) -> bool {
    spu.is_multiple_of(2)
}

/// Activities; an id is the position plus one.
pub(crate) const ACTIVITIES: [Offer; 3] = [
    Offer {
        name: "Double Eleven",
        kind: Kind::Full {
            from: 30_000,
            off: 3_000,
        },
    },
    Offer {
        name: "Winter sale",
        kind: Kind::Discount(10),
    },
    Offer {
        name: "Brand day",
        kind: Kind::ByNumber {
            from: 2,
            percent: 15,
        },
    },
];

/// Coupons; an id is the position plus one.
pub(crate) const COUPONS: [Coupon; 3] = [
    Coupon {
        offer: Offer {
            name: "Five off",
            kind: Kind::Full {
                from: 10_000,
                off: 500,
            },
        },
        range_type: "3301",
    },
    Coupon {
        offer: Offer {
            name: "Welcome",
            kind: Kind::Full { from: 0, off: 300 },
        },
        range_type: "3302",
    },
    Coupon {
        offer: Offer {
            name: "Come again",
            kind: Kind::ByNumber {
                from: 2,
                percent: 5,
            },
        },
        range_type: "3303",
    },
];

/// The activity that goods take part in.
pub(crate) fn activity_of(sku: u64) -> Option<u64> {
    Some(sku % 5).filter(|activity| (1..=ACTIVITIES.len() as u64).contains(activity))
}

impl Order {
    /// Takes off what the first activity gives whose condition is met.
    pub(crate) fn use_activity(&mut self) {
        let currency = Currency::at(self.currency);
        for (id, offer) in (1..).zip(&ACTIVITIES) {
            let covered = self.covered(|line| activity_of(line.sku) == Some(id));
            let amounts = self.amounts(&covered, Line::original);
            let Some(parts) = offer.parts(&amounts, self.pieces_of(&covered), currency) else {
                continue;
            };
            for (place, part) in covered.into_iter().zip(parts) {
                self.lines[place].activity = part;
            }
            self.activity = id;
            return;
        }
    }

    /// Takes off what a coupon gives. Returns whether its condition is met.
    pub(crate) fn redeem(&mut self, id: u64) -> bool {
        let currency = Currency::at(self.currency);
        let coupon = &COUPONS[id as usize - 1];
        let covered = self.covered(|line| coupon.covers(line));
        // What the activity left.
        let amounts = self.amounts(&covered, Line::total);
        let pieces = self.pieces_of(&covered);
        let Some(parts) = coupon.offer.parts(&amounts, pieces, currency) else {
            return false;
        };
        for (place, part) in covered.into_iter().zip(parts) {
            self.lines[place].coupon = part;
        }
        self.lines.iter().any(|line| line.coupon > 0)
    }

    fn covered(&self, is_covered: impl Fn(&Line) -> bool) -> Vec<usize> {
        let places = 0..self.lines.len();
        places
            .filter(|place| is_covered(&self.lines[*place]))
            .collect()
    }

    fn amounts(&self, places: &[usize], amount: fn(&Line) -> i64) -> Vec<i64> {
        let lines = places.iter().map(|place| &self.lines[*place]);
        lines.map(amount).collect()
    }

    fn pieces_of(&self, places: &[usize]) -> u32 {
        places.iter().map(|place| self.lines[*place].pieces).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_take_off_what_they_say_and_no_more() {
        let own = Currency::at(0);
        let [full, discount, by_number] = &ACTIVITIES;
        assert_eq!(full.parts(&[29_999], 1, own), None);
        assert_eq!(
            full.parts(&[10_000, 20_001], 2, own),
            Some(vec![999, 2_001])
        );
        assert_eq!(discount.parts(&[1_999], 1, own), Some(vec![199]));
        assert_eq!(by_number.parts(&[1_000], 1, own), None);
        assert_eq!(by_number.parts(&[1_000, 200], 2, own), Some(vec![150, 30]));
        // Nobody pays with parts of a yen.
        let yen = Currency::at(4);
        let parts = discount.parts(&[81_900], 1, yen);
        assert_eq!(parts, Some(vec![8_100]));
    }
}
