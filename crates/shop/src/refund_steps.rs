//! Requests for money back that go through all their steps: refused, or agreed to;
//! goods sent back; money on its way, paid out, or closed without a payment. Chance of
//! its own decides which way a request goes. In a shop without these steps a request
//! is asked, then paid out or refused.

use serde::{Deserialize, Serialize};

use crate::message::{Message, RowChange, row};
use crate::order::Order;
use crate::random::Random;
use crate::shop::{Event, Shop};

/// Where a request for money back stands, and the payment that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RefundStatus {
    Asked,
    Agreed,
    Refused,
    SentBack,
    Finished,
    Closed,
}

impl RefundStatus {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Asked => "0701",
            Self::Agreed => "0702",
            Self::Refused => "0703",
            Self::SentBack => "0704",
            Self::Finished => "0705",
            Self::Closed => "0706",
        }
    }
}

/// Whether a request is for goods that must be sent back.
pub(crate) fn returns_goods(id: u64) -> bool {
    !id.is_multiple_of(3)
}

/// A request under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RefundRequest {
    id: u64,
    asked: String,
    status: RefundStatus,
    /// Since when it has that status.
    since: String,
    /// When the row of its payment was made; empty before that.
    payment_made: String,
    /// Moments of what comes, the next one last.
    steps: Vec<(i64, RefundStatus)>,
}

impl RefundRequest {
    /// From this step on the money is on its way.
    fn pays_from(&self) -> RefundStatus {
        match returns_goods(self.id) {
            true => RefundStatus::SentBack,
            false => RefundStatus::Agreed,
        }
    }

    /// The update of its row.
    fn update(&self, order: &Order, status: RefundStatus, now: &str) -> RowChange {
        let data = order.refund_request(self.id, status, &self.asked, now);
        let old = row(|old| {
            old.text("refund_status", self.status.code());
            if self.since != now {
                old.text("operate_time", &self.since);
            }
        });
        RowChange::update("order_refund_info", data, old)
    }

    /// What the step changes in `refund_payment`.
    fn payment(&mut self, order: &Order, status: RefundStatus, now: &str) -> Option<RowChange> {
        if self.payment_made.is_empty() {
            if status != self.pays_from() {
                return None;
            }
            self.payment_made = now.to_owned();
            let data = order.refund_payment(self.id, status, now, now);
            return Some(RowChange::insert("refund_payment", data));
        }
        let data = order.refund_payment(self.id, status, &self.payment_made, now);
        let old = row(|old| {
            old.text("refund_status", self.status.code());
            if status == RefundStatus::Finished {
                old.raw("callback_time", "null");
            }
            if self.since != now {
                old.text("operate_time", &self.since);
            }
        });
        Some(RowChange::update("refund_payment", data, old))
    }
}

impl Shop {
    /// Plans the steps of a request that was made at `time_us` and ends at `end_us`.
    pub(crate) fn plan_refund_steps(&mut self, time_us: i64, end_us: i64, order: Order, id: u64) {
        let mut chance = Random::named(self.options.seed, "refund steps", id);
        let wait_us = end_us - time_us;
        let way = chance.below(1_000);
        let agreed_us = time_us + wait_us * chance.between(50, 400) / 1_000;
        let sent_us = time_us + wait_us * chance.between(500, 950) / 1_000;
        let mut steps = match way {
            0..80 => vec![(end_us, RefundStatus::Refused)],
            80..130 => vec![
                (agreed_us, RefundStatus::Agreed),
                (end_us, RefundStatus::Closed),
            ],
            _ if returns_goods(id) => vec![
                (agreed_us, RefundStatus::Agreed),
                (sent_us, RefundStatus::SentBack),
                (end_us, RefundStatus::Finished),
            ],
            _ => vec![
                (agreed_us, RefundStatus::Agreed),
                (end_us, RefundStatus::Finished),
            ],
        };
        steps.reverse();
        let asked = self.local(time_us).text();
        let request = RefundRequest {
            id,
            since: asked.clone(),
            asked,
            status: RefundStatus::Asked,
            payment_made: String::new(),
            steps,
        };
        self.plan_refund_step(order, request);
    }

    fn plan_refund_step(&mut self, order: Order, request: RefundRequest) {
        if let Some((time_us, _)) = request.steps.last() {
            let time_us = *time_us;
            let event = Event::RefundStep(Box::new(order), Box::new(request));
            self.plan(time_us, event);
        }
    }

    /// A request goes one step on.
    pub(crate) fn refund_step(
        &mut self,
        time_us: i64,
        order: Order,
        mut request: RefundRequest,
        messages: &mut Vec<Message>,
    ) {
        let Some((_, status)) = request.steps.pop() else {
            return;
        };
        let now = self.local(time_us).text();
        let mut changes = Vec::new();
        changes.extend(request.payment(&order, status, &now));
        changes.push(request.update(&order, status, &now));
        match status {
            RefundStatus::Finished => self.finish_refund(time_us, order, changes, messages),
            RefundStatus::Refused | RefundStatus::Closed => {
                self.end_refund(time_us, order, changes, messages);
            }
            RefundStatus::Asked | RefundStatus::Agreed | RefundStatus::SentBack => {
                self.send_changes(time_us, &changes, messages);
                request.status = status;
                request.since = now;
                self.plan_refund_step(order, request);
            }
        }
    }
}
