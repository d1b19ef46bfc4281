//! What happens in the shop, one fact after another: for those who keep books of
//! their own. Nothing here is read back from what the shop sends.

/// A page that somebody looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFact {
    /// Device.
    pub device: u32,
    /// Visit, of all devices.
    pub visit: u64,
    /// The record says which visit it is.
    pub names_session: bool,
    /// Member; 0 while nobody is logged in.
    pub user: u64,
    /// Whether that is one of the shop's own, for tests.
    pub is_test: bool,
    /// A program, no person.
    pub is_bot: bool,
    /// What the client says of the device: that it is its first day.
    pub says_new: bool,
    /// Channel through which the app was installed.
    pub channel: &'static str,
    /// Province.
    pub province: u64,
    /// Version of the app.
    pub app: &'static str,
    /// What brought the visitor; empty if nothing did.
    pub campaign: String,
    /// The page.
    pub page: &'static str,
    /// The page before it.
    pub last_page: Option<&'static str>,
    /// The goods that it is about; 0 for none.
    pub sku: u64,
    /// Words that were searched for.
    pub words: &'static [&'static str],
    /// How long it was looked at, milliseconds.
    pub during_ms: i64,
    /// Goods that it showed.
    pub displays: Vec<u64>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFact {
    /// Line, of all orders.
    pub id: u64,
    /// Goods, and what they were then: product, brand and category are 0 of goods
    /// that the shop does not have.
    pub sku: u64,
    /// Their name.
    pub name: String,
    /// Product.
    pub spu: u64,
    /// Brand.
    pub brand: u64,
    /// Category of the third level.
    pub category: u64,
    /// Pieces.
    pub pieces: u32,
    /// Pieces times price, in cents.
    pub original: i64,
    /// What the activity took off, in cents.
    pub activity: i64,
    /// What the coupon took off, in cents.
    pub coupon: i64,
}

impl LineFact {
    /// What is to be paid for it, in cents.
    pub fn total(&self) -> i64 {
        self.original - self.activity - self.coupon
    }
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFact {
    /// Order.
    pub id: u64,
    /// Member, or somebody of whom the shop knows nothing else.
    pub user: u64,
    /// Whether it is one of the shop's own.
    pub is_test: bool,
    /// In which all its amounts are.
    pub currency: &'static str,
    /// Where it goes, which may be no province of the shop's.
    pub province: u64,
    /// Channel of the app.
    pub channel: String,
    /// What brought the buyer; empty if nothing did.
    pub campaign: String,
    /// Freight after its reduction, in cents.
    pub freight: i64,
    /// Activity of those lines that have one.
    pub activity: u64,
    /// Coupon of those lines that have one.
    pub coupon: u64,
    /// Lines.
    pub lines: Vec<LineFact>,
}

/// Goods as they are from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsFact {
    /// Goods.
    pub sku: u64,
    /// Name.
    pub name: String,
    /// Product.
    pub spu: u64,
    /// Brand.
    pub brand: u64,
    /// Category of the third level.
    pub category: u64,
}

/// What became of a coupon that a member took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponStep {
    /// It was taken.
    Taken,
    /// It is used for this order.
    InOrder(u64),
    /// It was paid with.
    Paid,
    /// Its order came to nothing; the member has it again.
    Returned,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A name that a table of the shop gives from now on: table, id, name, and the
    /// row above it (0 for none).
    Name(&'static str, u64, String, u64),
    /// Goods are like this now.
    Goods(GoodsFact),
    /// What one unit of another currency is worth on a day, in millionths of the
    /// shop's own, as far as it is known now.
    Rate {
        /// The other currency.
        currency: &'static str,
        /// Local day, counted from 1970.
        day: i64,
        /// Millionths.
        rate: i64,
    },
    /// Goods are not in the shop any more.
    GoodsGone(u64),
    /// A member registered.
    Register {
        /// Member.
        user: u64,
        /// One of the shop's own.
        is_test: bool,
    },
    /// A member is on a level from now on.
    Level {
        /// Member.
        user: u64,
        /// Level.
        level: u8,
    },
    /// A page was opened.
    Page(Box<PageFact>),
    /// A member put goods in the cart.
    CartAdd {
        /// Member.
        user: u64,
        /// One of the shop's own.
        is_test: bool,
        /// Goods.
        sku: u64,
        /// Pieces more than before.
        pieces: u32,
    },
    /// What lies in a place of a member's cart from now on; none after an order.
    CartHolds {
        /// Place, of all carts.
        id: u64,
        /// One of the shop's own.
        is_test: bool,
        /// Goods.
        sku: u64,
        /// Pieces.
        pieces: u32,
    },
    /// A favourite was made, made again, or taken back.
    Favor {
        /// Favourite.
        id: u64,
        /// Member.
        user: u64,
        /// One of the shop's own.
        is_test: bool,
        /// Goods.
        sku: u64,
        /// It stands now.
        is_made: bool,
    },
    /// An order was made.
    Order(Box<OrderFact>),
    /// An order was paid.
    Pay(u64),
    /// An order was cancelled, unpaid.
    Cancel(u64),
    /// Money went back: order, sku, cents.
    Refund(u64, u64, i64),
    /// Something became of a coupon.
    Coupon {
        /// The one that a member took, of all.
        id: u64,
        /// What it gives.
        coupon: u64,
        /// Member.
        user: u64,
        /// What became of it.
        step: CouponStep,
    },
    /// A buyer said what goods are like.
    Comment {
        /// One of the shop's own.
        is_test: bool,
        /// Goods.
        sku: u64,
        /// That they are good.
        is_good: bool,
    },
}

/// A fact with its times, in microseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// When it happened.
    pub time_us: i64,
    /// When the message that tells of it was sent first.
    pub known_us: i64,
    /// What happened.
    pub fact: Fact,
}

/// Facts that nobody has taken yet; none are kept before somebody asks for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(Option<Vec<Known>>);

impl Facts {
    pub(crate) fn keep(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn take(&mut self) -> Vec<Known> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes note of something that is told of at once.
    pub(crate) fn note(&mut self, time_us: i64, fact: impl FnOnce() -> Fact) {
        self.note_late(time_us, time_us, fact);
    }

    pub(crate) fn note_late(&mut self, time_us: i64, known_us: i64, fact: impl FnOnce() -> Fact) {
        if let Some(facts) = &mut self.0 {
            facts.push(Known {
                time_us,
                known_us,
                fact: fact(),
            });
        }
    }
}
