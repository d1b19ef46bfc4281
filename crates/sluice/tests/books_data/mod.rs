//! The shop's own books of every model of the layers DWS and ADS, and of some facts:
//! plain sums over what happened, without SQL and without what was sent.

pub mod audits;
pub mod details;
pub mod goods;
pub mod ledger;
pub mod live;
pub mod members;
pub mod sales;
pub mod table;
pub mod trade;
pub mod traffic;
pub mod visits;
pub mod warehouse;

use ledger::Ledger;
use table::{Days, Table};
use traffic::Traffic;

/// By which column a model's days are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `cur_date` of windows.
    Date,
    /// `day`.
    Day,
    /// `stt` of windows without a date.
    Start,
    /// All rows are compared.
    All,
}

type Book = fn(&Ledger, &Traffic<'_>, &Days) -> Table;

/// Every model of the two layers with its book, and facts of which names and coupons
/// change. `ads_period_closed` and
/// `ads_period_adjustment`, which tell of what was once reported, are compared by
/// the test itself.
pub const BOOKS: &[(&str, By, Book)] = &[
    ("dwd_trade_order_detail_dim", By::Day, |l, _, d| {
        details::order_names(l, d)
    }),
    ("dwd_tool_coupon_get", By::All, |l, _, _| {
        details::coupons_taken(l)
    }),
    ("dwd_tool_coupon_order", By::All, |l, _, _| {
        details::coupons_in_orders(l)
    }),
    ("dwd_tool_coupon_pay", By::All, |l, _, _| {
        details::coupons_paid(l)
    }),
    ("dws_traffic_channel_day", By::Day, |l, _, d| {
        traffic::channel_day(l, d)
    }),
    ("dws_traffic_channel_minute", By::Day, |l, _, d| {
        traffic::channel_minute(l, d)
    }),
    ("dws_traffic_page_view_window", By::Date, |l, _, d| {
        traffic::page_view_window(l, d)
    }),
    ("dws_traffic_sku_window", By::Start, |l, _, d| {
        goods::shown_window(l, d)
    }),
    (
        "dws_traffic_source_keyword_page_view_window",
        By::Date,
        |l, _, d| traffic::keyword_window(l, d),
    ),
    ("dws_traffic_uniq_window", By::Date, |l, _, d| {
        traffic::uniq_window(l, d)
    }),
    (
        "dws_traffic_vc_ch_ar_is_new_page_view_window",
        By::Date,
        visits::visit_window,
    ),
    ("dws_user_user_login_window", By::Date, |l, _, d| {
        members::login_window(l, d)
    }),
    ("dws_user_user_register_window", By::All, |l, _, _| {
        members::register_window(l)
    }),
    ("dws_user_day", By::Day, |l, _, d| members::user_day(l, d)),
    ("dws_user_uniq_day", By::All, |l, _, _| {
        members::user_uniq_day(l)
    }),
    ("dws_trade_cart_add_uu_window", By::Date, |l, _, d| {
        trade::cart_window(l, d)
    }),
    ("dws_trade_order_window", By::Date, |l, _, d| {
        trade::order_window(l, d)
    }),
    ("dws_trade_payment_suc_window", By::Date, |l, _, d| {
        trade::payment_window(l, d)
    }),
    ("dws_trade_province_order_window", By::Date, |l, _, d| {
        trade::province_window(l, d)
    }),
    ("dws_trade_sku_event_window", By::Start, |l, _, d| {
        goods::event_window(l, d)
    }),
    ("dws_trade_sku_window", By::Date, |l, _, d| {
        goods::sku_window(l, d)
    }),
    (
        "dws_trade_trademark_category_user_spu_order_window",
        By::Date,
        |l, _, d| goods::group_order_window(l, d),
    ),
    (
        "dws_trade_trademark_category_user_spu_refund_window",
        By::Date,
        |l, _, d| goods::group_refund_window(l, d),
    ),
    ("ads_activity_stats", By::All, |l, _, _| {
        sales::activity_stats(l)
    }),
    ("ads_campaign_day", By::Day, live::campaign_day),
    ("ads_category_day", By::Day, |l, _, d| {
        sales::category_day(l, d)
    }),
    ("ads_coupon_stats", By::All, |l, _, _| {
        sales::coupon_stats(l)
    }),
    ("ads_funnel_day", By::Day, |l, _, d| {
        traffic::funnel_day(l, d)
    }),
    ("ads_hour", By::Day, live::hour),
    ("ads_keyword_score_day", By::Day, |l, _, d| {
        goods::keyword_score_day(l, d)
    }),
    ("ads_keyword_source_day", By::Day, |l, _, d| {
        goods::keyword_source_day(l, d)
    }),
    ("ads_live_channel_day", By::Day, |l, _, d| {
        live::live_channel_day(l, d)
    }),
    ("ads_live_day", By::All, |l, t, _| live::live_day(l, t)),
    ("ads_live_minute", By::Day, live::live_minute),
    ("ads_live_province_day", By::Day, |l, _, d| {
        trade::province_day(l, d)
    }),
    ("ads_live_sku_day", By::Day, |l, _, d| {
        sales::live_sku_day(l, d)
    }),
    ("ads_new_order_user_stats", By::All, |l, _, _| {
        trade::new_order_user_stats(l)
    }),
    ("ads_order_by_province", By::All, |l, _, _| {
        trade::order_by_province(l)
    }),
    ("ads_order_continuously_user_count", By::All, |l, _, _| {
        members::continuous_buyers(l)
    }),
    ("ads_order_day_result", By::All, |l, _, _| {
        trade::order_day_result(l)
    }),
    ("ads_order_to_pay_interval_avg", By::All, |l, _, _| {
        trade::order_to_pay(l)
    }),
    ("ads_page_path", By::Day, |l, _, d| traffic::page_path(l, d)),
    ("ads_repeat_purchase_by_tm", By::All, |l, _, _| {
        goods::repeat_purchase(l)
    }),
    ("ads_report_figure", By::All, |l, t, _| {
        members::report_figure(l, t)
    }),
    ("ads_sku_cart_num_top3_by_cate", By::All, |l, _, _| {
        goods::cart_top3(l)
    }),
    ("ads_sku_favor_count_top3_by_tm", By::All, |l, _, _| {
        goods::favor_top3(l)
    }),
    ("ads_spu_day", By::Day, |l, _, d| sales::spu_day(l, d)),
    ("ads_trade_quality_day", By::All, |l, t, _| {
        trade::trade_quality_day(l, t)
    }),
    ("ads_trademark_day", By::Day, |l, _, d| {
        sales::trademark_day(l, d)
    }),
    (
        "ads_traffic_channel_day",
        By::Day,
        traffic::traffic_channel_day,
    ),
    ("ads_traffic_day", By::Day, traffic::traffic_day),
    ("ads_traffic_hour", By::Day, traffic::traffic_hour),
    ("ads_traffic_stats_by_channel", By::All, |l, t, _| {
        traffic::traffic_stats_by_channel(l, t)
    }),
    ("ads_user_change", By::All, |l, _, _| {
        members::user_change(l)
    }),
    ("ads_user_level_day", By::Day, members::user_level_day),
    ("ads_user_retention", By::All, |l, _, _| {
        members::user_retention(l)
    }),
    ("ads_user_value", By::All, |l, _, _| members::user_value(l)),
    ("ads_visitor_days", By::All, |l, t, _| {
        members::visitor_days(l, t)
    }),
    ("ads_visitor_new_day", By::Day, visits::visitor_new_day),
];
