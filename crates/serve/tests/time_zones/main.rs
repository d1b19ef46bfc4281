//! Ad-hoc SQL in the business time zone, patterns of dates, and integers that do
//! not fit.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod dates_and_moments;
mod integers;
mod plain_views;
mod texts;
mod zoned_shop;
mod zones;
