//! Books of visits by app, channel, province and new devices.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Ledger, View, day_of};
use super::table::{Days, Table, date};
use super::traffic::{Traffic, views, window_cells};
use crate::row;

/// Devices, first page views, sessions, bounces, page views, milliseconds.
#[derive(Default)]
struct Visits {
    devices: BTreeSet<u32>,
    firsts: i64,
    sessions: i64,
    bounces: i64,
    views: i64,
    during_ms: i64,
}

/// A window with what tells visits apart: app, channel, province, new.
type VisitKey = (i64, u8, u8, u8, i64);

fn visits(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> BTreeMap<VisitKey, Visits> {
    let mut groups: BTreeMap<VisitKey, Visits> = BTreeMap::new();
    let key = |view: &View| {
        let is_new = traffic.is_new(view.device, day_of(view.time_us));
        (
            ledger.window(view.time_us),
            view.app,
            view.channel,
            view.province,
            is_new,
        )
    };
    for view in views(ledger, days) {
        let group = groups.entry(key(view)).or_default();
        group.devices.insert(view.device);
        group.views += 1;
        group.during_ms += view.during_ms;
    }
    for ((day, _), view) in &traffic.firsts {
        if days.contains(day) {
            groups.entry(key(view)).or_default().firsts += 1;
        }
    }
    for session in &traffic.sessions {
        if days.contains(&session.day()) {
            let group = groups.entry(key(session.first)).or_default();
            group.sessions += 1;
            group.bounces += i64::from(session.pages == 1);
        }
    }
    groups
}

pub fn visit_window(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let groups = visits(ledger, traffic, days);
    let rows = groups.iter().map(|(key, group)| {
        let (start, app, channel, province, is_new) = *key;
        row![
            window_cells(ledger, start),
            ledger.text(app),
            ledger.text(channel),
            province,
            is_new,
            group.devices.len(),
            group.devices.len(),
            group.firsts,
            group.sessions,
            group.bounces,
            group.views,
            group.during_ms
        ]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, vc, ch, ar, is_new, uv_ct, uniq_count(uv_state), first_of_day_uv_ct, sv_ct, uj_ct, pv_ct, dur_sum",
        rows: rows.collect(),
    }
}

pub fn visitor_new_day(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, i64), [i64; 4]> = BTreeMap::new();
    for ((start, _, _, _, is_new), visits) in visits(ledger, traffic, days) {
        let group = groups
            .entry((day_of(start * 1_000_000), is_new))
            .or_default();
        let counts = [visits.firsts, visits.views, visits.sessions, visits.bounces];
        for (sum, count) in group.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let rows = groups
        .iter()
        .map(|((day, is_new), [uv, pv, sessions, bounces])| {
            row![date(*day), is_new, uv, pv, sessions, bounces]
        });
    Table {
        columns: "day, is_new, uv, pv, sessions, bounces",
        rows: rows.collect(),
    }
}
