//! Books of visits: windows, channels, sessions, funnels.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Ledger, View, day_of, minute_of};
use super::table::{Days, Table, date, ratio};
use crate::row;

/// A window's cells: its beginning, its end, its day.
pub fn window_cells(ledger: &Ledger, start: i64) -> String {
    let end = start + ledger.window_us / 1_000_000;
    row![start, end, date(day_of(start * 1_000_000))]
}

/// What decides which of several page views is the first, as far as the time does
/// not: page, channel, app, province.
fn first_of<'a>(ledger: &'a Ledger, a: &'a View, b: &'a View) -> &'a View {
    let order = |view: &View| {
        let texts = [view.page, view.channel, view.app].map(|id| ledger.text(id).to_owned());
        (texts, view.province.to_string())
    };
    match a.time_us.cmp(&b.time_us) {
        std::cmp::Ordering::Less => a,
        std::cmp::Ordering::Greater => b,
        std::cmp::Ordering::Equal if order(a) <= order(b) => a,
        std::cmp::Ordering::Equal => b,
    }
}

/// A session.
pub struct Session<'a> {
    pub first: &'a View,
    pub pages: i64,
    pub during_ms: i64,
}

impl<'a> Session<'a> {
    fn add(&mut self, ledger: &'a Ledger, view: &'a View) {
        self.pages += 1;
        self.during_ms += view.during_ms;
        self.first = first_of(ledger, self.first, view);
    }

    pub fn day(&self) -> i64 {
        day_of(self.first.time_us)
    }
}

/// What tells sessions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SessionKey {
    /// The visit, where the record names it.
    Visit(u32),
    /// Else the device, and when the session began.
    Begun(u32, i64),
}

/// A session without a name ends after a longer pause.
const IDLE_US: i64 = 30 * 60_000_000;

/// Page views of a device that names no session, with those that they belong to: one
/// begins at a page without a page before it, and after a pause.
fn unnamed_sessions(mut views: Vec<&View>) -> impl Iterator<Item = (SessionKey, &View)> {
    // No text, 0, is no page. Of pages of one moment those that begin come first.
    views.sort_by_key(|view| (view.time_us, view.last_page != 0));
    let (mut begun_us, mut last_us) = (i64::MIN, i64::MIN);
    views.into_iter().map(move |view| {
        let is_entry = view.last_page == 0;
        if is_entry || last_us == i64::MIN || view.time_us - last_us > IDLE_US {
            begun_us = view.time_us;
        }
        last_us = view.time_us;
        (SessionKey::Begun(view.device, begun_us), view)
    })
}

/// Days on which a device was first seen, and first called itself new.
#[derive(Clone, Copy)]
pub struct DeviceDays {
    first: i64,
    new: i64,
}

/// What follows from page views, once for all tables.
pub struct Traffic<'a> {
    pub sessions: Vec<Session<'a>>,
    /// The first page view of a day by a device.
    pub firsts: BTreeMap<(i64, u32), &'a View>,
    devices: BTreeMap<u32, DeviceDays>,
}

impl<'a> Traffic<'a> {
    pub fn new(ledger: &'a Ledger) -> Self {
        let mut sessions: BTreeMap<SessionKey, Session<'a>> = BTreeMap::new();
        let mut unnamed: BTreeMap<u32, Vec<&'a View>> = BTreeMap::new();
        let mut add = |key: SessionKey, view: &'a View| {
            let session = sessions.entry(key).or_insert(Session {
                first: view,
                pages: 0,
                during_ms: 0,
            });
            session.add(ledger, view);
        };
        let mut firsts: BTreeMap<(i64, u32), &'a View> = BTreeMap::new();
        let mut devices: BTreeMap<u32, DeviceDays> = BTreeMap::new();
        for view in &ledger.views {
            let day = day_of(view.time_us);
            let device = devices.entry(view.device).or_insert(DeviceDays {
                first: day,
                new: i64::MAX,
            });
            device.first = device.first.min(day);
            if view.says_new {
                device.new = device.new.min(day);
            }
            if view.is_bot {
                continue;
            }
            match view.names_session {
                true => add(SessionKey::Visit(view.visit), view),
                false => unnamed.entry(view.device).or_default().push(view),
            }
            let first = firsts.entry((day, view.device)).or_insert(view);
            *first = first_of(ledger, first, view);
        }
        for views in unnamed.into_values() {
            for (key, view) in unnamed_sessions(views) {
                add(key, view);
            }
        }
        Self {
            sessions: sessions.into_values().collect(),
            firsts,
            devices,
        }
    }

    /// Whether a day is the device's first, by what is known.
    pub fn is_new(&self, device: u32, day: i64) -> i64 {
        let days = self.devices[&device];
        i64::from(days.first == day && days.new == day)
    }
}

/// Page views of people on the days.
pub fn views<'a>(ledger: &'a Ledger, days: &Days) -> impl Iterator<Item = &'a View> {
    let days = days.clone();
    let people = ledger.people();
    people.filter(move |view| days.contains(&day_of(view.time_us)))
}

pub fn channel_day(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, u8), (i64, BTreeSet<u32>)> = BTreeMap::new();
    for view in views(ledger, days) {
        let group = groups.entry((day_of(view.time_us), view.channel));
        let (pv, devices) = group.or_default();
        *pv += 1;
        devices.insert(view.device);
    }
    let rows = groups.iter().map(|((day, channel), (pv, devices))| {
        row![date(*day), ledger.text(*channel), pv, devices.len()]
    });
    Table {
        columns: "day, channel, pv, uv",
        rows: rows.collect(),
    }
}

pub fn channel_minute(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, i64, u8), i64> = BTreeMap::new();
    for view in views(ledger, days) {
        let key = (day_of(view.time_us), minute_of(view.time_us), view.channel);
        *groups.entry(key).or_default() += 1;
    }
    let rows = groups
        .iter()
        .map(|((day, minute, channel), pv)| row![date(*day), minute, ledger.text(*channel), pv]);
    Table {
        columns: "day, minute, channel, pv",
        rows: rows.collect(),
    }
}

pub fn page_view_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<i64, [BTreeSet<u32>; 2]> = BTreeMap::new();
    for view in views(ledger, days) {
        let place = match ledger.text(view.page) {
            "home" => 0,
            "good_detail" => 1,
            _ => continue,
        };
        let group = groups.entry(ledger.window(view.time_us)).or_default();
        group[place].insert(view.device);
    }
    let rows = groups
        .iter()
        .map(|(start, [home, goods])| row![window_cells(ledger, *start), home.len(), goods.len()]);
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, home_uv_ct, good_detail_uv_ct",
        rows: rows.collect(),
    }
}

pub fn keyword_window(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for view in views(ledger, days) {
        for word in ledger.text(view.words).split_whitespace() {
            let key = (ledger.window(view.time_us), word);
            *groups.entry(key).or_default() += 1;
        }
    }
    let rows = groups
        .iter()
        .map(|((start, word), count)| row![window_cells(ledger, *start), "search", word, count]);
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, source, keyword, keyword_count",
        rows: rows.collect(),
    }
}

pub fn uniq_window(ledger: &Ledger, days: &Days) -> Table {
    type Group = (BTreeSet<u32>, i64, i64);
    let mut groups: BTreeMap<(i64, u8, u8, u8), Group> = BTreeMap::new();
    for view in views(ledger, days) {
        let key = (
            ledger.window(view.time_us),
            view.app,
            view.channel,
            view.province,
        );
        let (devices, pv, during_ms) = groups.entry(key).or_default();
        devices.insert(view.device);
        *pv += 1;
        *during_ms += view.during_ms;
    }
    let rows = groups.iter().map(|(key, (devices, pv, during_ms))| {
        let (start, app, channel, province) = *key;
        let window = window_cells(ledger, start);
        let (app, channel) = (ledger.text(app), ledger.text(channel));
        row![window, app, channel, province, devices.len(), pv, during_ms]
    });
    Table {
        columns: "CAST(date_part('epoch', stt) AS BIGINT), CAST(date_part('epoch', edt) AS BIGINT), cur_date, vc, ch, ar, uv_ct, pv_ct, dur_sum",
        rows: rows.collect(),
    }
}

/// Sessions, bounces, pages, milliseconds.
#[derive(Default, Clone, Copy)]
pub struct Sums {
    pub sessions: i64,
    pub bounces: i64,
    pages: i64,
    during_ms: i64,
}

impl Sums {
    fn add(&mut self, session: &Session<'_>) {
        self.sessions += 1;
        self.bounces += i64::from(session.pages == 1);
        self.pages += session.pages;
        self.during_ms += session.during_ms;
    }

    /// Pages and seconds of a session, part of the bounces.
    fn rates(&self) -> String {
        row![
            ratio(self.pages as f64, self.sessions),
            ratio(self.during_ms as f64 / 1_000.0, self.sessions),
            ratio(self.bounces as f64, self.sessions)
        ]
    }
}

pub fn session_sums<K: Ord>(
    traffic: &Traffic<'_>,
    key: impl Fn(&Session<'_>) -> K,
) -> BTreeMap<K, Sums> {
    let mut groups: BTreeMap<K, Sums> = BTreeMap::new();
    for session in &traffic.sessions {
        groups.entry(key(session)).or_default().add(session);
    }
    groups
}

pub fn traffic_day(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let mut views: BTreeMap<i64, i64> = BTreeMap::new();
    for view in ledger.people() {
        *views.entry(day_of(view.time_us)).or_default() += 1;
    }
    let groups = session_sums(traffic, |session| session.day());
    let rows = groups.iter().filter(|(day, _)| days.contains(day));
    let rows = rows.map(|(day, sums)| {
        let devices = traffic.firsts.range((*day, 0)..=(*day, u32::MAX)).count();
        let pv = views.get(day).copied().unwrap_or(0);
        row![
            date(*day),
            pv,
            devices,
            sums.sessions,
            sums.bounces,
            sums.rates()
        ]
    });
    Table {
        columns: "day, pv, uv, sessions, bounces, pages_per_session, seconds_per_session, bounce_rate",
        rows: rows.collect(),
    }
}

pub fn traffic_hour(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let hour_of = |view: &View| (day_of(view.time_us), minute_of(view.time_us) / 60);
    let mut groups: BTreeMap<(i64, i64), [i64; 2]> = BTreeMap::new();
    for view in views(ledger, days) {
        groups.entry(hour_of(view)).or_default()[0] += 1;
    }
    for view in traffic.firsts.values() {
        // One of another day has no group.
        if let Some(group) = groups.get_mut(&hour_of(view)) {
            group[1] += 1;
        }
    }
    let sums = session_sums(traffic, |session| hour_of(session.first));
    let rows = groups.iter().map(|((day, hour), [pv, firsts])| {
        let sums = sums.get(&(*day, *hour)).copied().unwrap_or_default();
        let (sessions, bounces) = (sums.sessions, sums.bounces);
        row![
            date(*day),
            hour,
            pv,
            firsts,
            sessions,
            bounces,
            sums.rates()
        ]
    });
    Table {
        columns: "day, hour, pv, uv_new_today, sessions, bounces, pages_per_session, seconds_per_session, bounce_rate",
        rows: rows.collect(),
    }
}

pub fn traffic_channel_day(ledger: &Ledger, traffic: &Traffic<'_>, days: &Days) -> Table {
    let sums = session_sums(traffic, |session| {
        (date(session.day()), ledger.text(session.first.channel))
    });
    // Its first four columns are those of the channels of a day.
    let rows = channel_day(ledger, days).rows.into_iter().map(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        let found = sums.get(&(cells[0].to_owned(), cells[1]));
        let sums = found.copied().unwrap_or_default();
        row![row, sums.sessions, sums.bounces, sums.rates()]
    });
    Table {
        columns: "day, channel, pv, uv, sessions, bounces, pages_per_session, seconds_per_session, bounce_rate",
        rows: rows.collect(),
    }
}

pub fn traffic_stats_by_channel(ledger: &Ledger, traffic: &Traffic<'_>) -> Table {
    let newest = traffic.sessions.iter().map(|session| session.day()).max();
    let newest = newest.unwrap_or_default();
    let mut groups: BTreeMap<(i64, u8), (BTreeSet<u32>, Sums)> = BTreeMap::new();
    for session in &traffic.sessions {
        for recent in [1, 7, 30] {
            if newest - session.day() < recent {
                let group = groups.entry((recent, session.first.channel));
                let (devices, sums) = group.or_default();
                devices.insert(session.first.device);
                sums.add(session);
            }
        }
    }
    let rows = groups.iter().map(|((recent, channel), (devices, sums))| {
        let (channel, rates) = (ledger.text(*channel), sums.rates());
        row![recent, channel, devices.len(), sums.sessions, rates]
    });
    Table {
        columns: "recent_days, channel, uv, sessions, pages_per_session, seconds_per_session, bounce_rate",
        rows: rows.collect(),
    }
}

pub fn page_path(ledger: &Ledger, days: &Days) -> Table {
    let mut groups: BTreeMap<(i64, u8, u8), i64> = BTreeMap::new();
    for view in views(ledger, days) {
        let key = (day_of(view.time_us), view.last_page, view.page);
        *groups.entry(key).or_default() += 1;
    }
    let rows = groups.iter().map(|((day, source, target), count)| {
        row![
            date(*day),
            ledger.text(*source),
            ledger.text(*target),
            count
        ]
    });
    Table {
        columns: "day, source, target, path_count",
        rows: rows.collect(),
    }
}

const STEPS: [&str; 5] = ["home", "good_detail", "cart", "trade", "payment"];

pub fn funnel_day(ledger: &Ledger, days: &Days) -> Table {
    // Of a device on a day: when it saw which step.
    let mut seen: BTreeMap<(i64, u32), Vec<(i64, usize)>> = BTreeMap::new();
    for view in views(ledger, days) {
        let step = STEPS
            .iter()
            .position(|step| *step == ledger.text(view.page));
        if let Some(step) = step {
            let key = (day_of(view.time_us), view.device);
            seen.entry(key).or_default().push((view.time_us, step));
        }
    }
    let mut counts: BTreeMap<i64, [[i64; 5]; 2]> = BTreeMap::new();
    for ((day, _), mut views) in seen {
        views.sort_unstable();
        let [opened, closed] = counts.entry(day).or_default();
        let (mut next, mut before_us) = (0, i64::MIN);
        for (step, count) in opened.iter_mut().enumerate() {
            *count += i64::from(views.iter().any(|(_, seen)| *seen == step));
        }
        for (time_us, step) in views {
            if step == next && time_us > before_us {
                closed[step] += 1;
                next += 1;
                before_us = time_us;
            }
        }
    }
    let mut rows = Vec::new();
    for (day, [opened, closed]) in counts {
        for step in 0..STEPS.len() {
            if opened[step] > 0 {
                let (number, page) = (step + 1, STEPS[step]);
                rows.push(row![date(day), number, page, opened[step], closed[step]]);
            }
        }
    }
    Table {
        columns: "day, step, page_id, open_uv, closed_uv",
        rows,
    }
}
