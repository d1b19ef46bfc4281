//! How many rounds those tests take that make or damage inputs at random.
//!
//! `SLUICE_FUZZ_ROUNDS=1000000` asks for so many of each test,
//! `SLUICE_FUZZ_SECONDS=3600` for as many as fit into an hour, from a new
//! first round each time, which is said. `SLUICE_FUZZ_SEED` is a first round
//! that was said before.

use std::time::Instant;

/// Numbers of rounds, each of which is the seed of what is random in it:
/// `usual` of them from zero on, or what the environment asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at the time that it has"
)]
pub fn rounds(usual: u64) -> impl Iterator<Item = u64> {
    let named = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap())
    };
    let seconds = named("SLUICE_FUZZ_SECONDS");
    let first = match (named("SLUICE_FUZZ_SEED"), seconds) {
        (Some(seed), _) => seed,
        (None, Some(_)) => said(u64::from(std::process::id()) << 40),
        (None, None) => 0,
    };
    let count = match seconds {
        Some(_) => u64::MAX,
        None => named("SLUICE_FUZZ_ROUNDS").unwrap_or(usual),
    };
    let start = Instant::now();
    let has_time = move || seconds.is_none_or(|seconds| start.elapsed().as_secs() < seconds);
    (first..first.saturating_add(count)).take_while(move |_| has_time())
}

fn said(first: u64) -> u64 {
    eprintln!("SLUICE_FUZZ_SEED={first}");
    first
}
