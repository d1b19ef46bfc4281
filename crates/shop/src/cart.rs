//! The cart of a visit, and its rows in the database.

use serde::{Deserialize, Serialize};

use crate::answers::Unique;
use crate::catalogue::sku_name;
use crate::facts::Fact;
use crate::members::is_test_member;
use crate::message::{Message, RowChange, row};
use crate::shop::Shop;
use crate::visit::Visit;

/// Different goods in a cart.
const LINES_MAX: usize = 5;

/// Some goods in a cart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CartLine {
    pub(crate) sku: u64,
    pub(crate) pieces: u32,
    price: i64,
    added_us: i64,
    changed_us: i64,
    /// The row of `cart_info`; 0 while the visitor is not logged in.
    id: u64,
    /// The goods had another name than at first when they were put there.
    #[serde(default)]
    is_renamed: bool,
}

/// What becomes of the cart when goods are put in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CartAction {
    /// They are new there.
    Add,
    /// There are more of them.
    AddMore,
}

impl CartAction {
    /// Its name in the log.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Add => "cart_add",
            Self::AddMore => "cart_add_num",
        }
    }
}

impl Shop {
    /// What would happen to the goods that the visitor looks at; `None` when
    /// the cart is full.
    pub(crate) fn cart_action(visit: &Visit) -> Option<CartAction> {
        let is_known = visit.cart.iter().any(|line| line.sku == visit.sku);
        match (is_known, visit.cart.len() < LINES_MAX) {
            (true, _) => Some(CartAction::AddMore),
            (false, true) => Some(CartAction::Add),
            (false, false) => None,
        }
    }

    /// Puts the goods that the visitor looks at in the cart.
    pub(crate) fn put_in_cart(
        &mut self,
        time_us: i64,
        visit: &mut Visit,
        messages: &mut Vec<Message>,
    ) {
        let pieces = 1 + self.random.skewed(4) as u32;
        let user = visit.user;
        let known = visit.cart.iter_mut().find(|line| line.sku == visit.sku);
        let Some(line) = known else {
            visit.cart.push(CartLine {
                sku: visit.sku,
                pieces,
                price: self.sku_now(visit.sku).price_cents,
                added_us: time_us,
                changed_us: time_us,
                id: 0,
                is_renamed: self.is_renamed(visit.sku),
            });
            if visit.is_logged_in {
                let changes = self.keep_cart(time_us, visit);
                self.send_changes(time_us, &changes, messages);
            }
            return;
        };
        let before = line.clone();
        line.pieces += pieces;
        line.changed_us = time_us;
        if line.id > 0 {
            let after = line.clone();
            self.note_cart(time_us, user, after.sku, pieces);
            self.note_place(time_us, user, &after, after.pieces);
            let change = self.cart_change(&before, &after, user, false);
            self.send_changes(time_us, &[change], messages);
        }
    }

    /// Makes rows of what a member has in the cart and has no row yet.
    pub(crate) fn keep_cart(&mut self, time_us: i64, visit: &mut Visit) -> Vec<RowChange> {
        let user = visit.user;
        // What left the shop meanwhile cannot be kept.
        visit
            .cart
            .retain(|line| line.id > 0 || !self.is_gone(line.sku));
        let mut changes = Vec::new();
        let mut added = Vec::new();
        for line in &mut visit.cart {
            if line.id == 0 {
                self.counters.cart += 1;
                line.id = self.counters.cart;
                line.added_us = time_us;
                line.changed_us = time_us;
                let data = self.cart_row(line, user, false);
                changes.push(RowChange::insert("cart_info", data));
                added.push(line.clone());
            }
        }
        for line in added {
            self.note_cart(time_us, user, line.sku, line.pieces);
            self.note_place(time_us, user, &line, line.pieces);
        }
        changes
    }

    /// Counts what a member put in the cart.
    fn note_cart(&mut self, time_us: i64, user: u64, sku: u64, pieces: u32) {
        self.facts.note(time_us, || Fact::CartAdd {
            user,
            is_test: is_test_member(user),
            sku,
            pieces,
        });
        if is_test_member(user) {
            return;
        }
        let local = self.local(time_us);
        self.note_unique(local, Unique::CartUser, user);
        let answers = &mut self.books.day(local.day).answers;
        answers.cart_adds += 1;
        answers.cart_pieces += u64::from(pieces);
        answers.goods.entry(sku).or_default().carts += 1;
    }

    /// Takes note of what lies in a place of the cart.
    fn note_place(&mut self, time_us: i64, user: u64, line: &CartLine, pieces: u32) {
        self.facts.note(time_us, || Fact::CartHolds {
            id: line.id,
            is_test: is_test_member(user),
            sku: line.sku,
            pieces,
        });
    }

    /// The visitor takes a piece out of the cart again, if there are several of
    /// something, and the last goods altogether otherwise.
    pub(crate) fn take_from_cart(
        &mut self,
        time_us: i64,
        visit: &mut Visit,
        messages: &mut Vec<Message>,
    ) {
        let user = visit.user;
        let Some(line) = visit.cart.iter_mut().find(|line| line.pieces > 1) else {
            if let Some(line) = visit.cart.pop().filter(|line| line.id > 0) {
                self.note_place(time_us, user, &line, 0);
                let change = RowChange::delete("cart_info", self.cart_row(&line, user, false));
                self.send_changes(time_us, &[change], messages);
            }
            return;
        };
        let before = line.clone();
        line.pieces -= 1;
        line.changed_us = time_us;
        if line.id > 0 {
            let after = line.clone();
            self.note_place(time_us, user, &after, after.pieces);
            let change = self.cart_change(&before, &after, user, false);
            self.send_changes(time_us, &[change], messages);
        }
    }

    /// What is in the cart has been ordered.
    pub(crate) fn empty_cart(
        &mut self,
        time_us: i64,
        user: u64,
        lines: &[CartLine],
    ) -> Vec<RowChange> {
        for line in lines {
            self.note_place(time_us, user, line, 0);
        }
        let change = |line: &CartLine| {
            let ordered = CartLine {
                changed_us: time_us,
                ..line.clone()
            };
            self.cart_change(line, &ordered, user, true)
        };
        lines.iter().map(change).collect()
    }

    /// The update of a row of `cart_info`.
    fn cart_change(
        &self,
        before: &CartLine,
        after: &CartLine,
        user: u64,
        is_ordered: bool,
    ) -> RowChange {
        let old = row(|old| {
            if before.pieces != after.pieces {
                old.number("sku_num", before.pieces);
            }
            if is_ordered {
                old.number("is_ordered", 0).raw("order_time", "null");
            }
            let operated = self.local(before.changed_us).text();
            if operated != self.local(after.changed_us).text() {
                old.text("operate_time", &operated);
            }
        });
        RowChange::update("cart_info", self.cart_row(after, user, is_ordered), old)
    }

    /// A row of `cart_info`.
    fn cart_row(&self, line: &CartLine, user: u64, is_ordered: bool) -> String {
        let operated = self.local(line.changed_us).text();
        row(|data| {
            data.number("id", line.id)
                .number("user_id", user)
                .number("sku_id", line.sku)
                .money("cart_price", line.price)
                .number("sku_num", line.pieces)
                .text("sku_name", &sku_name(line.sku, line.is_renamed))
                .number("is_checked", 1)
                .number("is_ordered", u8::from(is_ordered));
            match is_ordered {
                true => data.text("order_time", &operated),
                false => data.raw("order_time", "null"),
            };
            data.text("create_time", &self.local(line.added_us).text())
                .text("operate_time", &operated);
        })
    }
}
