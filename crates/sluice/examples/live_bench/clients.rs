//! Panel clients that poll and live subscribers, while events flow: how long
//! their answers take, and what the flow loses by them.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_shop::{Shop, ShopOptions};

use super::{Outcome, agent, metric, now_us, percentile, report, step_of, wait_for_views};

/// A client asks its panel so often.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The shop's time between two requests of the load.
const SHOP_STEP_US: i64 = 100_000;
/// Views of which a live subscriber watches one.
const WATCHED: [&str; 3] = ["ads_live_channel_day", "ads_live_minute", "ads_live_day"];
/// Stack of a client's thread.
const STACK_BYTES: usize = 512 << 10;

/// What the load was and how the warehouse kept up.
struct Flow {
    records: u64,
    seconds: f64,
    /// Records that waited, looked at after each request.
    waiting: Vec<f64>,
}

impl Flow {
    fn report(&mut self, what: &str) {
        self.waiting.sort_by(f64::total_cmp);
        println!(
            "{what}: {:.0} events a second, all in the views at the end; waiting: median {:.0}, p99 {:.0}, greatest {:.0}",
            self.records as f64 / self.seconds,
            percentile(&self.waiting, 0.5),
            percentile(&self.waiting, 0.99),
            percentile(&self.waiting, 1.0),
        );
    }
}

/// Sends the shop's records at about `rate` a second.
fn flow(url: &str, shop: &mut Shop, until_us: &mut i64, rate: f64, seconds: u64) -> Outcome<Flow> {
    let client = agent();
    let mut flow = Flow {
        records: 0,
        seconds: 0.0,
        waiting: Vec::new(),
    };
    let mut messages = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let due = start + Duration::from_secs_f64(flow.records as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        messages.clear();
        *until_us += SHOP_STEP_US;
        shop.advance(*until_us, &mut messages);
        let step = step_of(&messages);
        step.send(&client, url)?;
        flow.records += step.records;
        let waiting = metric(&client, url, "sluice_records_waiting")?;
        flow.waiting.push(waiting as f64);
    }
    wait_for_views(&client, url)?;
    flow.seconds = start.elapsed().as_secs_f64();
    Ok(flow)
}

/// Answers of the pollers.
#[derive(Default)]
struct Polled {
    times_ms: Vec<f64>,
    unchanged: u64,
    failed: u64,
}

/// Asks one panel each second, as the page does: with the tag of what it has.
fn poll(url: &str, panel: &str, offset: Duration, is_over: &AtomicBool) -> Polled {
    let client = agent();
    let mut polled = Polled::default();
    let mut tag = String::new();
    let mut due = Instant::now() + offset;
    while !is_over.load(Ordering::Acquire) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = client
            .get(format!("{url}/api/v1/panels/{panel}"))
            .header("If-None-Match", &tag)
            .call();
        let read = answer.and_then(|mut answer| {
            let found = answer.headers().get("etag").cloned();
            let status = answer.status();
            answer.body_mut().read_to_vec()?;
            Ok((status.as_u16(), found))
        });
        match read {
            Ok((status, found)) => {
                polled.unchanged += u64::from(status == 304);
                let found = found.and_then(|tag| tag.to_str().map(str::to_owned).ok());
                tag = found.unwrap_or_default();
                // From when it was due: a late answer delays the next.
                polled.times_ms.push(due.elapsed().as_secs_f64() * 1e3);
            }
            Err(_) => polled.failed += 1,
        }
        due += POLL_INTERVAL;
    }
    polled
}

/// Reads server-sent events; counts bytes and interruptions.
fn watch(url: &str, view: &str, is_over: &AtomicBool, bytes: &AtomicU64, breaks: &AtomicU64) {
    let config = ureq::Agent::config_builder()
        .timeout_recv_body(Some(Duration::from_secs(600)))
        .build();
    let client: ureq::Agent = config.into();
    let mut buffer = vec![0; 64 << 10];
    while !is_over.load(Ordering::Acquire) {
        let answer = client.get(format!("{url}/api/v1/live/{view}")).call();
        let Ok(mut answer) = answer else {
            breaks.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(200));
            continue;
        };
        let mut reader = answer.body_mut().as_reader();
        while !is_over.load(Ordering::Acquire) {
            match reader.read(&mut buffer) {
                Ok(count) if count > 0 => {
                    bytes.fetch_add(count as u64, Ordering::Relaxed);
                }
                _ => {
                    breaks.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    }
}

fn panel_names(url: &str) -> Outcome<Vec<String>> {
    let text = agent()
        .get(format!("{url}/api/v1/panels"))
        .call()?
        .body_mut()
        .read_to_string()?;
    let list: Value = serde_json::from_str(&text)?;
    let panels = list["panels"]
        .as_array()
        .ok_or("there is no list of panels")?;
    // Those that ask for nothing can be asked without parameters.
    let complete = panels.iter().filter(|panel| {
        let mut parameters = panel["parameters"].as_array().into_iter().flatten();
        parameters.all(|parameter| !parameter["default"].is_null())
    });
    let names = complete.filter_map(|panel| panel["name"].as_str().map(str::to_owned));
    Ok(names.collect())
}

/// The flow alone, and then beside clients.
pub fn clients(url: &str, rate: f64, seconds: u64, pollers: usize, watchers: usize) -> Outcome<()> {
    let mut options = ShopOptions::new(now_us() as u64 + 1, now_us() - 3_600_000_000);
    options.devices = 200_000;
    options.messages_per_second = rate;
    let mut until_us = options.start_us;
    let mut shop = Shop::new(options)?;
    // Its catalogue and members, and visits that overlap.
    flow(url, &mut shop, &mut until_us, f64::INFINITY, 3)?;
    flow(url, &mut shop, &mut until_us, rate, seconds)?.report("alone");
    let panels = panel_names(url)?;
    println!(
        "{} panels, {pollers} clients that poll, {watchers} subscribers",
        panels.len()
    );
    let (is_over, bytes, breaks) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut all = Polled::default();
    std::thread::scope(|scope| -> Outcome<()> {
        let small = || std::thread::Builder::new().stack_size(STACK_BYTES);
        let mut polling = Vec::new();
        for number in 0..pollers {
            let panel = &panels[number % panels.len()];
            let offset = POLL_INTERVAL * number as u32 / pollers.max(1) as u32;
            let is_over = &is_over;
            polling.push(small().spawn_scoped(scope, move || poll(url, panel, offset, is_over))?);
        }
        for number in 0..watchers {
            let view = WATCHED[number % WATCHED.len()];
            let (is_over, bytes, breaks) = (&is_over, &bytes, &breaks);
            small().spawn_scoped(scope, move || watch(url, view, is_over, bytes, breaks))?;
        }
        let flowed = flow(url, &mut shop, &mut until_us, rate, seconds);
        is_over.store(true, Ordering::Release);
        flowed?.report("beside clients");
        for client in polling {
            let polled = client.join().map_err(|_| "a client failed")?;
            all.times_ms.extend(polled.times_ms);
            all.unchanged += polled.unchanged;
            all.failed += polled.failed;
        }
        println!(
            "live: {:.1} MB to {watchers} subscribers, {} interruptions",
            bytes.load(Ordering::Relaxed) as f64 / 1e6,
            breaks.load(Ordering::Relaxed)
        );
        Ok(())
    })?;
    println!(
        "{} answers were 304, {} requests failed",
        all.unchanged, all.failed
    );
    report("an answer of a panel, from when it was due", all.times_ms);
    let client = agent();
    for name in [
        "sluice_panel_answers_reused_total",
        "sluice_panel_answers_old_total",
        "sluice_http_queries_total",
    ] {
        println!("{name} {}", metric(&client, url, name)?);
    }
    Ok(())
}
