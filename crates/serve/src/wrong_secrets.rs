//! Wrong secrets, counted by the address that they come from, so that nobody
//! tries one after the other: HTTP, the PostgreSQL wire and Sugar BI together.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use sluice_core::{Clock, SystemClock};

/// Wrong secrets are counted over so long, and so long nothing more is taken from
/// an address that gave too many.
const SPAN_US: i64 = 60_000_000;
/// Addresses that are remembered; the oldest is forgotten first.
const ADDRESSES_MAX: usize = 10_000;

/// What is known of an address.
#[derive(Debug, Clone, Copy)]
struct Tries {
    /// When the first of them came.
    begun_us: i64,
    count: u32,
    /// Until then nothing is taken from it.
    shut_until_us: i64,
}

/// See the module.
#[derive(Debug)]
pub struct WrongSecrets {
    /// Wrong secrets of an address within a minute; `None`: as many as it likes.
    count_max: Option<u32>,
    clock: Arc<dyn Clock>,
    addresses: Mutex<BTreeMap<IpAddr, Tries>>,
}

impl Default for WrongSecrets {
    fn default() -> Self {
        Self::new(None, Arc::new(SystemClock))
    }
}

/// Whoever has one address of a network of version 6 has all of them.
fn network(from: SocketAddr) -> IpAddr {
    match from.ip().to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

impl WrongSecrets {
    /// Takes so many wrong secrets of an address within a minute.
    pub fn new(count_max: Option<u32>, clock: Arc<dyn Clock>) -> Self {
        Self {
            count_max,
            clock,
            addresses: Mutex::default(),
        }
    }

    /// Seconds for which nothing more is taken from there; `None` if it may try.
    pub(crate) fn shut_s(&self, from: Option<SocketAddr>) -> Option<u64> {
        self.count_max?;
        let addresses = self.addresses.lock();
        let tries = addresses.get(&network(from?))?;
        let left_us = tries.shut_until_us - self.clock.now_us();
        (left_us > 0).then(|| left_us.unsigned_abs().div_ceil(1_000_000))
    }

    /// Counts a wrong secret. True if it is the last that is taken for now.
    pub(crate) fn note(&self, from: Option<SocketAddr>) -> bool {
        let (Some(count_max), Some(from)) = (self.count_max, from) else {
            return false;
        };
        let now_us = self.clock.now_us();
        let address = network(from);
        let mut addresses = self.addresses.lock();
        if !addresses.contains_key(&address) && addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, tries| {
                now_us < tries.shut_until_us || now_us - tries.begun_us < SPAN_US
            });
            let oldest = addresses.iter().min_by_key(|(_, tries)| tries.begun_us);
            let oldest = oldest.map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| addresses.len() >= ADDRESSES_MAX) {
                addresses.remove(&oldest);
            }
        }
        let new = Tries {
            begun_us: now_us,
            count: 0,
            shut_until_us: 0,
        };
        let tries = addresses.entry(address).or_insert(new);
        if now_us - tries.begun_us >= SPAN_US && now_us >= tries.shut_until_us {
            *tries = new;
        }
        tries.count = tries.count.saturating_add(1);
        let is_last = tries.count == count_max.max(1);
        if is_last {
            tries.shut_until_us = now_us.saturating_add(SPAN_US);
        }
        is_last
    }
}

/// What somebody is told from whose address nothing is taken.
pub(crate) fn shut_text(seconds: u64) -> String {
    format!("too many wrong secrets came from your address; come again in {seconds} s")
}

#[cfg(test)]
mod tests {
    use sluice_core::ManualClock;

    use super::*;

    fn address(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_is_shut_for_a_minute() {
        let clock = Arc::new(ManualClock::new(0));
        let wrong = WrongSecrets::new(Some(3), clock.clone());
        let (here, there) = (address("127.0.0.1:1"), address("127.0.0.2:1"));
        assert!(!wrong.note(here));
        assert!(!wrong.note(address("127.0.0.1:2")));
        assert_eq!(wrong.shut_s(here), None);
        assert!(wrong.note(here));
        assert_eq!(wrong.shut_s(here), Some(60));
        // What was on its way makes it neither longer nor told twice.
        assert!(!wrong.note(here));
        assert_eq!(wrong.shut_s(there), None);
        assert_eq!(wrong.shut_s(None), None);
        clock.set_us(59_500_000);
        assert_eq!(wrong.shut_s(here), Some(1));
        clock.set_us(60_000_000);
        assert_eq!(wrong.shut_s(here), None);
        // It begins anew, and slow ones are never too many.
        for minute in 2..20 {
            clock.set_us(minute * SPAN_US);
            assert!(!wrong.note(here) && !wrong.note(here));
        }
    }

    #[test]
    fn a_network_is_one_address_and_the_table_is_bounded() {
        let clock = Arc::new(ManualClock::new(0));
        let wrong = WrongSecrets::new(Some(2), clock);
        wrong.note(address("[2001:db8::1]:1"));
        assert!(wrong.note(address("[2001:db8::ffff]:1")));
        assert!(wrong.shut_s(address("[2001:db8:0:0:7::1]:1")).is_some());
        assert!(wrong.shut_s(address("[2001:db8:0:1::1]:1")).is_none());
        wrong.note(address("[::ffff:10.0.0.1]:1"));
        assert!(wrong.note(address("10.0.0.1:1")));
        for number in 0..ADDRESSES_MAX as u32 + 100 {
            let ip = std::net::Ipv4Addr::from(number);
            wrong.note(Some(SocketAddr::new(ip.into(), 1)));
        }
        assert_eq!(wrong.addresses.lock().len(), ADDRESSES_MAX);
        let open = WrongSecrets::default();
        assert!(!open.note(address("10.0.0.1:1")));
    }
}
