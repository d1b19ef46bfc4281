//! How fast the shop makes messages, on one core:
//! `cargo build --release --workspace --examples && target/release/examples/throughput`.

#![allow(clippy::disallowed_methods, reason = "a measurement asks the clock")]

use std::time::Instant;

use sluice_shop::{Shop, ShopError, ShopOptions};

fn main() -> Result<(), ShopError> {
    let options = ShopOptions {
        messages_per_second: 10_000.0,
        devices: 200_000,
        ..ShopOptions::new(1, 1_790_006_400_000_000)
    };
    let mut shop = Shop::new(options.clone())?;
    let mut messages = Vec::new();
    let mut bytes = 0;
    let start = Instant::now();
    for second in 1..=600 {
        messages.clear();
        shop.advance(options.start_us + second * 1_000_000, &mut messages);
        bytes += messages
            .iter()
            .map(|message| message.payload.len())
            .sum::<usize>();
    }
    let seconds = start.elapsed().as_secs_f64();
    let count = shop.sequence();
    let orders: u64 = shop.books().days.values().map(|day| day.orders).sum();
    let views: u64 = shop.books().days.values().map(|day| day.pv).sum();
    println!(
        "{count} messages in {seconds:.2} s: {:.0} a second, {} bytes each; {views} page views, {orders} orders",
        count as f64 / seconds,
        bytes as u64 / count
    );
    Ok(())
}
