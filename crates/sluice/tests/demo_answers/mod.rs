//! What an analyst asks of the demo's warehouse, beside the shop's own books.

use std::collections::BTreeMap;
use std::path::Path;

use sluice_shop::{DayBook, SalesBook};

use crate::common::{ask, root};
use crate::{expect, money};

/// The names of the query views that must be empty.
fn audits() -> Vec<String> {
    let folder = root().join("warehouse/models/audit");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let names = names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    names.collect()
}

/// Every audit is empty.
pub fn check_audits(state: &Path) {
    let names = audits();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let rows = ask(state, &format!("SELECT * FROM {name}"));
        assert!(rows.is_empty(), "{name}: {rows:?}");
    }
}

/// The only row of an answer.
#[track_caller]
fn one(state: &Path, sql: &str, expected: &[String]) {
    assert_eq!(ask(state, sql), [expected.join(",")], "{sql}");
}

fn sales(books: &BTreeMap<u64, SalesBook>) -> Vec<String> {
    let rows = books.iter();
    rows.map(|(id, book)| format!("{id},{},{},{}", book.orders, book.pieces, money(book.gross)))
        .collect()
}

/// Compares a day that is over.
pub fn compare_answers(state: &Path, date: &str, day: &DayBook) {
    compare_traffic(state, date, day);
    compare_members(state, date, day);
    compare_trade(state, date, day);
    compare_groups(state, date, day);
    compare_windows(state, date, day);
}

fn compare_traffic(state: &Path, date: &str, day: &DayBook) {
    let answers = &day.answers;
    one(
        state,
        &format!("SELECT pv, uv, sessions, bounces FROM ads_traffic_day WHERE day = '{date}'"),
        &[day.pv, day.uv, day.sessions, answers.bounces].map(|count| count.to_string()),
    );
    one(
        state,
        &format!(
            "SELECT sum(pages), CAST(sum(seconds) * 1000 AS BIGINT) FROM dwd_traffic_session WHERE day = '{date}'"
        ),
        &[answers.session_pages, answers.session_ms].map(|count| count.to_string()),
    );
    one(
        state,
        &format!(
            "SELECT coalesce(sum(uv) FILTER (WHERE is_new = 1), 0), sum(uv), sum(pv), sum(sessions), sum(bounces) FROM ads_visitor_new_day WHERE day = '{date}'"
        ),
        &[
            answers.new_uv,
            day.uv,
            day.pv,
            day.sessions,
            answers.bounces,
        ]
        .map(|count| count.to_string()),
    );
    let steps = answers.open_funnel.iter().zip(answers.closed_funnel);
    let steps = (1..)
        .zip(steps)
        .map(|(step, (open, closed))| format!("{step},{open},{closed}"));
    let sql = format!("SELECT step, open_uv, closed_uv FROM ads_funnel_day WHERE day = '{date}'");
    expect(steps.collect(), ask(state, &sql), "funnel");
    assert!(answers.closed_funnel.is_sorted_by(|a, b| a >= b));
    let words = answers.keywords.iter();
    let words = words.map(|(word, count)| format!("{word},{count}"));
    let sql = format!(
        "SELECT keyword, sum(keyword_count) FROM dws_traffic_source_keyword_page_view_window WHERE cur_date = '{date}' GROUP BY keyword"
    );
    expect(words.collect(), ask(state, &sql), "keywords");
    let campaigns = answers.campaigns.iter().map(|(name, book)| {
        format!(
            "{name},{},{},{},{}",
            book.sessions,
            book.bounces,
            book.orders,
            money(book.gross)
        )
    });
    let sql = format!(
        "SELECT channel || '/' || campaign, sessions, bounces, orders, gmv_gross FROM ads_campaign_day WHERE day = '{date}'"
    );
    expect(campaigns.collect(), ask(state, &sql), "campaigns");
    one(
        state,
        &format!(
            "SELECT sum(pv), sum(uv_new_today), sum(gmv_gross), sum(gmv_net) FROM ads_hour WHERE day = '{date}'"
        ),
        &[
            day.pv.to_string(),
            day.uv.to_string(),
            money(day.gross),
            money(day.paid - day.refunded),
        ],
    );
}

fn compare_members(state: &Path, date: &str, day: &DayBook) {
    let answers = &day.answers;
    one(
        state,
        &format!(
            "SELECT sum(uu_ct), sum(back_ct) FROM dws_user_user_login_window WHERE cur_date = '{date}'"
        ),
        &[answers.active_users, answers.back_users].map(|count| count.to_string()),
    );
    one(
        state,
        &format!(
            "SELECT coalesce(sum(register_ct), 0) FROM dws_user_user_register_window WHERE cur_date = '{date}'"
        ),
        &[answers.registered.to_string()],
    );
    one(
        state,
        &format!(
            "SELECT sum(cart_add_ct), sum(cart_add_pieces) FROM dws_trade_cart_add_uu_window WHERE cur_date = '{date}'"
        ),
        &[answers.cart_adds, answers.cart_pieces].map(|count| count.to_string()),
    );
    one(
        state,
        &format!("SELECT (SELECT count(*) FROM dwd_interaction_favor_add WHERE day = '{date}' AND NOT is_test) AS favors,
            (SELECT count(*) FROM dwd_tool_coupon_get WHERE day = '{date}') AS coupons"),
        &[answers.favors, answers.coupons_taken].map(|count| count.to_string()),
    );
    one(
        state,
        &format!(
            "SELECT count(*) FILTER (WHERE orders > 0), sum(order_amount), sum(paid_amount), sum(refund_amount), sum(carts), sum(favors) FROM dws_user_day WHERE day = '{date}'"
        ),
        &[
            day.order_users.to_string(),
            money(day.gross),
            money(day.paid),
            money(day.refunded),
            answers.cart_adds.to_string(),
            answers.favors.to_string(),
        ],
    );
}

fn compare_trade(state: &Path, date: &str, day: &DayBook) {
    let answers = &day.answers;
    one(
        state,
        &format!("SELECT sum(order_ct), sum(new_order_uu_ct), sum(original_amount), sum(activity_amount), sum(coupon_amount),
            sum(gmv_gross), sum(gmv_unpaid), sum(gmv_cancelled), sum(freight), sum(cancel_amount), sum(gmv_paid), sum(gmv_refunded), sum(gmv_net)
            FROM dws_trade_order_window WHERE cur_date = '{date}'"),
        &[
            day.orders.to_string(),
            answers.new_buyers.to_string(),
            money(answers.original),
            money(answers.activity),
            money(answers.coupon),
            money(day.gross),
            money(day.unpaid),
            money(day.cancelled),
            money(day.freight),
            money(answers.cancelled_then),
            money(day.paid),
            money(day.refunded),
            money(day.paid - day.refunded),
        ],
    );
    one(
        state,
        &format!(
            "SELECT sum(payment_suc_ct), sum(payment_new_uu_ct), sum(amount) FROM dws_trade_payment_suc_window WHERE cur_date = '{date}'"
        ),
        &[
            day.paid_orders.to_string(),
            answers.new_payers.to_string(),
            money(day.paid),
        ],
    );
    one(
        state,
        &format!("SELECT pay_users, new_buyers FROM ads_trade_quality_day WHERE day = '{date}'"),
        &[answers.pay_users, answers.new_buyers].map(|count| count.to_string()),
    );
    one(
        state,
        &format!(
            "SELECT CAST(round(seconds * paid_orders) AS BIGINT) FROM ads_order_to_pay_interval_avg WHERE day = '{date}'"
        ),
        &[answers.pay_seconds.to_string()],
    );
    one(
        state,
        &format!(
            "SELECT orders, gmv_gross, refunded_of_orders FROM ads_order_day_result WHERE day = '{date}'"
        ),
        &[
            day.orders.to_string(),
            money(day.gross),
            money(answers.refunded_of_orders),
        ],
    );
    one(
        state,
        &format!(
            "SELECT coalesce(sum(refund_amount), 0.00) FROM dws_trade_trademark_category_user_spu_refund_window WHERE cur_date = '{date}'"
        ),
        &[money(day.refunded)],
    );
    let provinces = day.provinces.iter();
    let provinces =
        provinces.map(|(id, sales)| format!("{id},{},{}", sales.orders, money(sales.gross)));
    let sql = format!(
        "SELECT province_id, sum(order_count), sum(order_amount) FROM dws_trade_province_order_window WHERE cur_date = '{date}' GROUP BY province_id"
    );
    expect(provinces.collect(), ask(state, &sql), "provinces");
}

fn compare_groups(state: &Path, date: &str, day: &DayBook) {
    let answers = &day.answers;
    for (view, id, books) in [
        ("ads_trademark_day", "tm_id", &answers.brands),
        ("ads_category_day", "category3_id", &answers.categories),
        ("ads_spu_day", "spu_id", &answers.products),
    ] {
        let sql =
            format!("SELECT {id}, orders, pieces, gmv_gross FROM {view} WHERE day = '{date}'");
        expect(sales(books), ask(state, &sql), view);
    }
    for (name, books) in [
        ("activity", &answers.activities),
        ("coupon", &answers.coupons),
    ] {
        let rows = books.iter().map(|(id, book)| {
            format!(
                "{id},{},{},{}",
                book.orders,
                money(book.original),
                money(book.reduced)
            )
        });
        let sql = format!(
            "SELECT {name}_id, orders, original_amount, reduce_amount FROM ads_{name}_stats WHERE day = '{date}'"
        );
        expect(rows.collect(), ask(state, &sql), name);
        assert!(!books.is_empty(), "{name}");
    }
    let goods = answers.goods.iter().map(|(id, book)| {
        format!(
            "{id},{},{},{},{},{},{},{},{},{},{},{}",
            book.displays,
            book.clicks,
            book.favors,
            book.carts,
            book.lines,
            book.pieces,
            money(book.gross),
            money(book.paid),
            money(book.refunded),
            book.comments,
            book.good_comments
        )
    });
    let sql = format!("SELECT sku_id, sum(display_ct), sum(click_ct), sum(favor_ct), sum(cart_ct), sum(order_line_ct), sum(order_pieces),
        sum(order_amount), sum(payment_amount), sum(refund_amount), sum(comment_ct), sum(good_comment_ct)
        FROM dws_trade_sku_window WHERE cur_date = '{date}' GROUP BY sku_id");
    expect(goods.collect(), ask(state, &sql), "goods");
}

/// Windows of the hour from eight in the evening: what does not add up. Not the
/// visitors: a device that is upgraded within a window counts in both versions,
/// and `books.rs` compares these row by row.
fn compare_windows(state: &Path, date: &str, day: &DayBook) {
    let windows = day.answers.windows.iter().map(|(number, book)| {
        format!(
            "{number},{},{},{},{},{}",
            book.home_uv, book.good_detail_uv, book.cart_users, book.order_users, book.pay_users
        )
    });
    let windows: Vec<String> = windows.collect();
    assert!(windows.len() > 300, "{}", windows.len());
    let number = "(CAST(date_part('epoch', stt) AS BIGINT) + 28800) % 86400 / 10";
    let sql = format!("SELECT {number} AS w, sum(b), sum(c), sum(d), sum(e), sum(f) FROM (
          SELECT stt, home_uv_ct AS b, good_detail_uv_ct AS c, 0 AS d, 0 AS e, 0 AS f FROM dws_traffic_page_view_window WHERE cur_date = '{date}'
          UNION ALL SELECT stt, 0, 0, cart_add_uu_ct, 0, 0 FROM dws_trade_cart_add_uu_window WHERE cur_date = '{date}'
          UNION ALL SELECT stt, 0, 0, 0, order_uu_ct, 0 FROM dws_trade_order_window WHERE cur_date = '{date}'
          UNION ALL SELECT stt, 0, 0, 0, 0, payment_suc_uu_ct FROM dws_trade_payment_suc_window WHERE cur_date = '{date}'
        ) AS u
        WHERE {number} / 360 = 20
        GROUP BY 1");
    let found = ask(state, &sql);
    // Windows in which only a refund or a cancellation happened hold nobody.
    let found = found.into_iter().filter(|row| !row.ends_with(",0,0,0,0,0"));
    expect(windows, found.collect(), "windows");
}
