//! Measures a running warehouse from outside, as its clients see it:
//!
//! ```text
//! live_bench latency    URL RATE SECONDS   from sending an event to seeing it in SQL
//! live_bench throughput URL SECONDS [RATE] how many events are taken, and how far views lag
//! live_bench lookups    URL RATE SECONDS   point look-ups
//! live_bench clients    URL RATE SECONDS [POLLERS WATCHERS]
//!                                          panels polled and live changes watched beside a load
//! ```
//!
//! The warehouse must run the built-in project (`sluice run warehouse`). The
//! load comes from the demo shop, made before it is sent, so that its CPU is
//! not the warehouse's.

#![allow(clippy::disallowed_methods, reason = "a measurement asks the clock")]

mod clients;

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sluice_shop::{Shop, ShopOptions, Topic};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The load is sent in steps of this length.
const STEP: Duration = Duration::from_millis(20);
/// Time between probes.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["latency", url, rate, seconds] => latency(url, rate.parse()?, seconds.parse()?),
        ["throughput", url, seconds] => throughput(url, seconds.parse()?, None),
        ["throughput", url, seconds, rate] => {
            throughput(url, seconds.parse()?, Some(rate.parse()?))
        }
        ["lookups", url, rate, seconds] => lookups(url, rate.parse()?, seconds.parse()?),
        ["clients", url, rate, seconds] => {
            clients::clients(url, rate.parse()?, seconds.parse()?, 200, 100)
        }
        ["clients", url, rate, seconds, pollers, watchers] => clients::clients(
            url,
            rate.parse()?,
            seconds.parse()?,
            pollers.parse()?,
            watchers.parse()?,
        ),
        _ => Err("usage: live_bench latency URL RATE SECONDS | throughput URL SECONDS [RATE] | lookups URL RATE SECONDS | clients URL RATE SECONDS [POLLERS WATCHERS]".into()),
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.into()
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_micros() as i64
}

/// Bodies of both topics for one step.
struct Step {
    shop_db: String,
    app_log: String,
    records: u64,
}

impl Step {
    /// In requests that are not too large: a shop's first step brings its
    /// whole catalogue and all its members.
    fn send(&self, agent: &ureq::Agent, url: &str) -> Outcome<()> {
        const LINES_MAX: usize = 5_000;
        for (topic, body) in [
            (Topic::ShopDb, &self.shop_db),
            (Topic::AppLog, &self.app_log),
        ] {
            let address = format!("{url}/collect/{}", topic.name());
            let lines: Vec<&str> = body.split_inclusive('\n').collect();
            for chunk in lines.chunks(LINES_MAX) {
                post(agent, &address, &chunk.concat())?;
            }
        }
        Ok(())
    }
}

/// Sends a body, again if need be: the server may have closed an idle
/// connection, and leaves out what it had before.
fn post(agent: &ureq::Agent, address: &str, body: &str) -> Outcome<()> {
    const ATTEMPTS_MAX: u32 = 20;
    for attempt in 1.. {
        match agent.post(address).send(body) {
            Ok(_) => break,
            Err(error) if attempt >= ATTEMPTS_MAX => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    Ok(())
}

/// What the shop sends in `seconds`, at about `rate` messages a second, in
/// steps of `step`.
fn load(rate: f64, seconds: u64, step: Duration) -> Outcome<(Step, Vec<Step>)> {
    let mut options = ShopOptions::new(now_us() as u64, now_us());
    options.devices = 200_000;
    options.messages_per_second = rate;
    let mut shop = Shop::new(options.clone())?;
    let mut messages = Vec::new();
    // The hour of the day decides how busy a shop is; the wanted rate holds
    // now, once visits overlap.
    shop.advance(options.start_us + 300_000_000, &mut messages);
    let before = shop.sequence();
    shop.advance(options.start_us + 360_000_000, &mut messages);
    let found = (shop.sequence() - before) as f64 / 60.0;
    options.messages_per_second = rate * rate / found;
    let mut shop = Shop::new(options.clone())?;
    messages.clear();
    shop.advance(options.start_us + 300_000_000, &mut messages);
    let first = step_of(&messages);
    let mut steps = Vec::new();
    let step_us = step.as_micros() as i64;
    for number in 1..=(seconds * 1_000_000 / step.as_micros() as u64) as i64 {
        messages.clear();
        shop.advance(
            options.start_us + 300_000_000 + number * step_us,
            &mut messages,
        );
        steps.push(step_of(&messages));
    }
    Ok((first, steps))
}

fn step_of(messages: &[sluice_shop::Message]) -> Step {
    let mut step = Step {
        shop_db: String::new(),
        app_log: String::new(),
        records: messages.len() as u64,
    };
    for message in messages {
        let body = match message.topic {
            Topic::ShopDb => &mut step.shop_db,
            Topic::AppLog => &mut step.app_log,
        };
        body.push_str(&message.payload);
        body.push('\n');
    }
    step
}

fn metric(agent: &ureq::Agent, url: &str, name: &str) -> Outcome<u64> {
    let text = agent
        .get(format!("{url}/metrics"))
        .call()?
        .body_mut()
        .read_to_string()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.ok_or("there is no such metric")?.parse()?)
}

fn ask(agent: &ureq::Agent, url: &str, sql: &str) -> Outcome<Value> {
    let text = agent
        .post(format!("{url}/api/v1/sql"))
        .send(sql)?
        .body_mut()
        .read_to_string()?;
    Ok(serde_json::from_str(&text)?)
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = (sorted.len() as f64 * share) as usize;
    sorted
        .get(position.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn report(what: &str, mut times_ms: Vec<f64>) {
    times_ms.sort_by(f64::total_cmp);
    println!(
        "{what}: {} measured, median {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, greatest {:.1} ms",
        times_ms.len(),
        percentile(&times_ms, 0.5),
        percentile(&times_ms, 0.9),
        percentile(&times_ms, 0.99),
        percentile(&times_ms, 1.0),
    );
}

/// Waits until everything that was sent is in an epoch.
fn wait_for_views(agent: &ureq::Agent, url: &str) -> Outcome<()> {
    while metric(agent, url, "sluice_records_waiting")? > 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn latency(url: &str, rate: f64, seconds: u64) -> Outcome<()> {
    let client = agent();
    let (first, steps) = load(rate, seconds, STEP)?;
    first.send(&client, url)?;
    std::thread::sleep(Duration::from_millis(300));
    wait_for_views(&client, url)?;
    let is_over = AtomicBool::new(false);
    let sent = AtomicU64::new(0);
    let mut times_ms = Vec::new();
    let start = Instant::now();
    std::thread::scope(|scope| -> Outcome<()> {
        let sender = scope.spawn(|| -> Outcome<()> {
            let client = agent();
            for (number, step) in steps.iter().enumerate() {
                let due = start + STEP * number as u32;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                step.send(&client, url)?;
                sent.fetch_add(step.records, Ordering::Relaxed);
            }
            is_over.store(true, Ordering::Release);
            Ok(())
        });
        let run = now_us();
        let mut probes = 0_u64;
        while !is_over.load(Ordering::Acquire) {
            probes += 1;
            let ts = now_us() / 1_000;
            let body = format!(
                "{{\"common\":{{\"mid\":\"probe\",\"ch\":\"probe{run}\"}},\"event_id\":\"probe-{run}-{probes}\",\"page\":{{\"page_id\":\"home\"}},\"ts\":{ts}}}"
            );
            let sql =
                format!("SELECT sum(pv) FROM ads_live_channel_day WHERE channel = 'probe{run}'");
            let from = Instant::now();
            let (poster, address) = (client.clone(), format!("{url}/collect/app_log"));
            let posted = scope.spawn(move || poster.post(&address).send(body).map(|_| ()));
            loop {
                let answer = ask(&client, url, &sql)?;
                let seen = &answer["rows"][0][0];
                let seen = seen.as_u64().or_else(|| seen.as_str()?.parse().ok());
                if seen == Some(probes) {
                    break;
                }
                if from.elapsed() > Duration::from_secs(60) {
                    return Err("a probe was not seen within a minute".into());
                }
            }
            times_ms.push(from.elapsed().as_secs_f64() * 1e3);
            posted.join().map_err(|_| "a probe failed")??;
            std::thread::sleep(PROBE_INTERVAL.saturating_sub(from.elapsed()));
        }
        sender.join().map_err(|_| "the sender failed")?
    })?;
    let elapsed = start.elapsed().as_secs_f64();
    println!(
        "{:.0} records a second for {elapsed:.0} s",
        sent.load(Ordering::Relaxed) as f64 / elapsed
    );
    report("from sending an event to its SQL answer", times_ms);
    Ok(())
}

/// As fast as the records are taken, or at about `pace` records a second.
fn throughput(url: &str, seconds: u64, pace: Option<f64>) -> Outcome<()> {
    const RATE: f64 = 20_000.0;
    let client = agent();
    let mut options = ShopOptions::new(now_us() as u64 + 1, now_us() - 3_600_000_000);
    options.devices = 200_000;
    options.messages_per_second = RATE;
    let mut shop = Shop::new(options.clone())?;
    let mut until_us = options.start_us;
    let (mut records, mut bytes, mut made) = (0, 0, Duration::ZERO);
    let mut lags = Vec::new();
    let start = Instant::now();
    let mut messages = Vec::new();
    let mut next_line = Duration::from_secs(60);
    while start.elapsed() < Duration::from_secs(seconds) {
        if let Some(pace) = pace {
            let due = start + Duration::from_secs_f64(records as f64 / pace);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        if start.elapsed() >= next_line {
            let waiting = lags.last().copied().unwrap_or(0.0);
            println!(
                "{:.0} s: {records} records, {waiting:.0} waiting",
                next_line.as_secs_f64()
            );
            next_line += Duration::from_secs(60);
        }
        let making = Instant::now();
        messages.clear();
        until_us += 500_000;
        shop.advance(until_us, &mut messages);
        let step = step_of(&messages);
        made += making.elapsed();
        step.send(&client, url)?;
        records += step.records;
        bytes += step.app_log.len() + step.shop_db.len();
        let waiting = metric(&client, url, "sluice_records_waiting")?;
        lags.push(waiting as f64);
        // What waits must not grow: a client that slows down, as one that is
        // told to come again would.
        if waiting > 200_000 {
            wait_for_views(&client, url)?;
        }
    }
    wait_for_views(&client, url)?;
    let elapsed = start.elapsed().as_secs_f64();
    lags.sort_by(f64::total_cmp);
    println!(
        "{records} records ({} bytes each) in {elapsed:.1} s, all in the views: {:.0} a second; the generator took {:.1} s of it; records waiting: median {:.0}, greatest {:.0}",
        bytes as u64 / records.max(1),
        records as f64 / elapsed,
        made.as_secs_f64(),
        percentile(&lags, 0.5),
        percentile(&lags, 1.0),
    );
    Ok(())
}

fn lookups(url: &str, rate: f64, seconds: u64) -> Outcome<()> {
    const CLIENTS: u32 = 8;
    let client = agent();
    let answer = ask(&client, url, "SELECT max(order_id) FROM dwd_trade_order")?;
    let greatest = &answer["rows"][0][0];
    let greatest: u64 = greatest
        .as_u64()
        .ok_or("there are no orders yet; send some first")?;
    let interval = Duration::from_secs_f64(f64::from(CLIENTS) / rate);
    let mut times_ms = Vec::new();
    std::thread::scope(|scope| -> Outcome<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || -> Outcome<Vec<f64>> {
                    let client = agent();
                    let mut times_ms = Vec::new();
                    let mut random = u64::from(number) + 1;
                    let start = Instant::now();
                    let mut due = start + interval / CLIENTS * number;
                    while start.elapsed() < Duration::from_secs(seconds) {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let order = 1 + (random >> 33) % greatest;
                        let address = format!("{url}/api/v1/tables/order_info/{order}");
                        client.get(&address).call()?.body_mut().read_to_vec()?;
                        // From when it was due: a late answer delays the next.
                        times_ms.push(due.elapsed().as_secs_f64() * 1e3);
                        due += interval;
                    }
                    Ok(times_ms)
                })
            })
            .collect();
        for client in clients {
            times_ms.extend(client.join().map_err(|_| "a client failed")??);
        }
        Ok(())
    })?;
    println!(
        "{:.0} look-ups a second",
        times_ms.len() as f64 / seconds as f64
    );
    report("a look-up, from when it was due", times_ms);
    Ok(())
}
