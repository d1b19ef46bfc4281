//! Sources that are refused while the warehouse works: by a server that lacks a
//! privilege or has thrown its log away, say. They are tried again until somebody has
//! mended what is wrong; the others go on.

use sluice_core::{Clock, SystemClock};
use sluice_route::CaptureDefinition;

use super::capture_step::{Capture, Unit, end};
use super::route_step::Positions;
use crate::failure::Failure;

/// Time until a source that was refused is tried again.
const AGAIN_US: i64 = 5_000_000;

/// Sources that share a thread, of which one was refused.
#[derive(Debug)]
pub(super) struct RefusedSource {
    captures: Vec<CaptureDefinition>,
    again_us: i64,
}

impl Capture {
    /// Tells of sources that were refused, and tries them again when it is time.
    /// `positions` tells where they stand.
    ///
    /// # Errors
    /// What a source was refused with that was never read before: its definition is
    /// wrong, and whoever has written it is there. And any refusal if the warehouse
    /// is to end once it has read everything (`must_end`).
    pub fn look_after_refused(
        &mut self,
        must_end: bool,
        positions: impl FnOnce() -> Result<Positions, Failure>,
    ) -> Result<(), Failure> {
        let now_us = SystemClock.now_us();
        for (topic, failure) in self.take_refusals() {
            let is_of_unit = |unit: &Unit| unit.captures.iter().any(|it| it.topic == topic);
            let units = std::mem::take(&mut self.units).into_iter();
            let (ended, others): (Vec<Unit>, Vec<Unit>) = units.partition(is_of_unit);
            self.units = others;
            let is_new = ended.iter().any(|unit| unit.is_new);
            let captures = ended
                .iter()
                .flat_map(|unit| unit.captures.clone())
                .collect();
            end(ended)?;
            if must_end || is_new && !self.states.was_read(&topic) {
                return Err(failure);
            }
            self.refuse(&topic, captures, &failure, now_us);
        }
        if self.refused.iter().all(|refused| refused.again_us > now_us) {
            return Ok(());
        }
        let mut positions = positions()?;
        for refused in std::mem::take(&mut self.refused) {
            if refused.again_us > now_us {
                self.refused.push(refused);
                continue;
            }
            let captures = refused.captures.clone();
            if let Err(failure) = self.start_unit(captures, &mut positions, true) {
                for capture in &refused.captures {
                    let captures = refused.captures.clone();
                    self.refuse(&capture.topic, captures, &failure, now_us);
                }
            }
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        topic: &str,
        captures: Vec<CaptureDefinition>,
        failure: &Failure,
        now_us: i64,
    ) {
        let said = failure.to_string();
        if self.states.trouble(topic).as_ref() != Some(&said) {
            self.reporter.warn(&format!(
                "{said}\n  nothing of this source is read until then; it is tried again every {} s, all other sources go on",
                AGAIN_US / 1_000_000
            ));
        }
        self.states.note(topic, 0, 0, false, Some(&said));
        let again_us = now_us.saturating_add(AGAIN_US);
        self.refused.push(RefusedSource { captures, again_us });
    }

    /// Of the sources that are `wanted`, takes those out that are refused and still
    /// defined alike; forgets all other refused ones.
    pub(super) fn keep_refused(&mut self, wanted: &mut Vec<Vec<CaptureDefinition>>) {
        self.refused.retain(|refused| {
            let found = wanted.iter().position(|it| *it == refused.captures);
            found.map(|found| wanted.remove(found)).is_some()
        });
    }
}
