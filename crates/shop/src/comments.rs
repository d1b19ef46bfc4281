//! What buyers say of goods.

use serde::{Deserialize, Serialize};

use crate::catalogue::sku;
use crate::facts::Fact;
use crate::full_rows::of_comment;
use crate::members::is_test_member;
use crate::message::{Message, RowChange, row};
use crate::order::Order;
use crate::shop::{Event, Shop};

const MINUTE_US: i64 = 60_000_000;

/// Who will say something about what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Comment {
    user: u64,
    order: u64,
    sku: u64,
}

impl Shop {
    /// Some buyers will say what the goods are like.
    pub(crate) fn plan_comment(&mut self, time_us: i64, order: &Order) {
        if !self.random.per_mille(150) {
            return;
        }
        let line = self.random.below(order.lines.len() as u64) as usize;
        let comment = Comment {
            user: order.user,
            order: order.id,
            sku: order.lines[line].sku,
        };
        let wait_us = self.random.between(10 * MINUTE_US, 1_200 * MINUTE_US);
        self.plan(time_us + wait_us, Event::Comment(Box::new(comment)));
    }

    pub(crate) fn comment(&mut self, time_us: i64, comment: &Comment, messages: &mut Vec<Message>) {
        let local = self.local(time_us);
        let now = local.text();
        self.counters.comment += 1;
        let appraise = match self.random.below(10) {
            0..=6 => "1201",
            7 => "1202",
            8 => "1203",
            _ => "1204",
        };
        if !is_test_member(comment.user) {
            let answers = &mut self.books.day(local.day).answers;
            let goods = answers.goods.entry(comment.sku).or_default();
            goods.comments += 1;
            goods.good_comments += u64::from(appraise == "1201");
        }
        self.facts.note(time_us, || Fact::Comment {
            is_test: is_test_member(comment.user),
            sku: comment.sku,
            is_good: appraise == "1201",
        });
        let id = self.counters.comment;
        let data = row(|data| {
            data.number("id", id)
                .number("user_id", comment.user)
                .number("sku_id", comment.sku)
                .number("spu_id", sku(comment.sku).spu_id)
                .number("order_id", comment.order)
                .text("appraise", appraise);
            if self.options.has_all_columns {
                of_comment(data, id, appraise);
            }
            data.text("create_time", &now).text("operate_time", &now);
        });
        let change = RowChange::insert("comment_info", data);
        self.send_changes(time_us, &[change], messages);
    }
}
