//! Devices of visitors.

use serde::{Deserialize, Serialize};

use crate::answers::FUNNEL;

/// What the shop knows of a device. Most of a saved shop is devices and members,
/// so that they are saved without names.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(from = "DeviceNumbers", into = "DeviceNumbers")]
pub(crate) struct Device {
    /// Its member; 0 while it has none.
    pub(crate) user: u64,
    /// The other member of a device that two people share; 0 while there is none.
    pub(crate) second_user: u64,
    /// Day of its first visit plus one; 0 before it.
    pub(crate) first_day: i64,
    /// Day of its last page view plus one.
    pub(crate) last_day: i64,
    /// Pages of the funnel that it saw on its last day, a bit each.
    pub(crate) seen: u8,
    /// Steps of the funnel that it took on its last day, one after the other.
    pub(crate) steps: u8,
    /// How often its app became a newer one.
    pub(crate) upgrades: u8,
}

type DeviceNumbers = ([u64; 2], [i64; 2], [u8; 3]);

impl From<DeviceNumbers> for Device {
    fn from((users, days, counts): DeviceNumbers) -> Self {
        let ([user, second_user], [first_day, last_day]) = (users, days);
        let [seen, steps, upgrades] = counts;
        Self {
            user,
            second_user,
            first_day,
            last_day,
            seen,
            steps,
            upgrades,
        }
    }
}

impl From<Device> for DeviceNumbers {
    fn from(device: Device) -> Self {
        (
            [device.user, device.second_user],
            [device.first_day, device.last_day],
            [device.seen, device.steps, device.upgrades],
        )
    }
}

impl Device {
    /// Takes note of a page, and returns the step of the funnel that the device
    /// saw for the first time today, and the one that it took after the one
    /// before.
    pub(crate) fn note_funnel(&mut self, page: &str) -> (Option<usize>, Option<usize>) {
        let Some(step) = FUNNEL.iter().position(|&step| step == page) else {
            return (None, None);
        };
        let is_new = self.seen & (1 << step) == 0;
        self.seen |= 1 << step;
        let follows = usize::from(self.steps) == step;
        self.steps += u8::from(follows);
        (is_new.then_some(step), follows.then_some(step))
    }
}
