//! The demo shop: a whole shop from a seed, with its own books.
//!
//! Visitors browse, search, put goods in the cart, order, pay, cancel and get
//! money back; the shop sends what an app and a database would send: the
//! behaviour log, and the changes of its tables in the form of Maxwell. Some
//! records are broken, late, or sent twice, at known rates. The same options
//! give the same bytes on every machine. What happened is counted apart from
//! what is sent, so that a warehouse can be checked against it.
//!
//! ```
//! use sluice_shop::{Shop, ShopOptions};
//!
//! let mut shop = Shop::new(ShopOptions::new(7, 0))?;
//! let mut messages = Vec::new();
//! shop.advance(60_000_000, &mut messages);
//! let views: u64 = shop.books().days.values().map(|day| day.pv).sum();
//! assert!(messages.len() as u64 > views && views > 0);
//! # Ok::<(), sluice_shop::ShopError>(())
//! ```

// One file a concern: a new kind of happening is a file with its rows, a
// variant of `shop::Event` and a line where events happen.
mod activities;
mod answers;
mod books;
mod cart;
mod catalogue;
mod comments;
mod currencies;
pub mod database;
mod details;
mod device;
mod dirty_changes;
mod facts;
mod favors;
mod full_rows;
mod goods;
mod members;
mod message;
mod names;
mod offers;
mod opening;
mod order;
mod random;
mod records;
mod refund_steps;
mod refunds;
mod season;
mod sending;
mod session;
mod shop;
mod time;
mod trade;
mod traffic;
mod visit;

pub use answers::{AnswerBook, CampaignBook, GoodsBook, ReductionBook, WindowBook};
pub use books::{Books, ChannelBook, DayBook, MinuteBook, SalesBook};
pub use facts::{CouponStep, Fact, GoodsFact, Known, LineFact, OrderFact, PageFact};
pub use message::{Message, Topic};
pub use shop::{Shop, ShopError, ShopOptions};
