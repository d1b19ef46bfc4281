//! The tables of the shop's database.

use super::Dialect;

/// Tables with their columns; the first one identifies a row, of `currency_rate` the
/// first two. Types: `L` a whole number of 64 bits, `I` of 32, `S` a short text, `M` an
/// amount, `T` a time without a zone, `D` a day, `R` a rate.
pub const TABLES: &[(&str, &str)] = &[
    ("base_region", "id L, region_name S"),
    (
        "base_province",
        "id L, name S, region_id L, area_code S, iso_code S, iso_3166_2 S",
    ),
    ("currency_rate", "currency S, day D, rate R"),
    ("base_category1", "id L, name S"),
    ("base_category2", "id L, name S, category1_id L"),
    ("base_category3", "id L, name S, category2_id L"),
    ("base_trademark", "id L, tm_name S, logo_url S"),
    ("base_dic", "dic_code S, dic_name S, parent_code S"),
    (
        "activity_info",
        "id L, activity_name S, activity_type S, start_time T, end_time T",
    ),
    (
        "activity_rule",
        "id L, activity_id L, activity_type S, condition_amount M, condition_num I, benefit_amount M, benefit_discount M, benefit_level I",
    ),
    ("activity_sku", "id L, activity_id L, sku_id L"),
    (
        "coupon_info",
        "id L, coupon_name S, coupon_type S, condition_amount M, condition_num I, activity_id L, benefit_amount M, benefit_discount M, range_type S, limit_num I, taken_count I, start_time T, end_time T, expire_time T",
    ),
    (
        "coupon_range",
        "id L, coupon_id L, range_type S, range_id L",
    ),
    (
        "coupon_use",
        "id L, coupon_id L, user_id L, order_id L, coupon_status S, get_time T, using_time T, used_time T, expire_time T",
    ),
    (
        "spu_info",
        "id L, spu_name S, description S, category3_id L, tm_id L",
    ),
    (
        "sku_info",
        "id L, spu_id L, price M, sku_name S, sku_desc S, weight M, tm_id L, category3_id L, is_sale I",
    ),
    (
        "user_info",
        "id L, login_name S, nick_name S, passwd S, name S, phone_num S, email S, user_level S, birthday D, gender S, is_test I",
    ),
    (
        "cart_info",
        "id L, user_id L, sku_id L, cart_price M, sku_num I, sku_name S, is_checked I, is_ordered I, order_time T",
    ),
    (
        "favor_info",
        "id L, user_id L, sku_id L, spu_id L, is_cancel S, cancel_time T",
    ),
    (
        "comment_info",
        "id L, user_id L, sku_id L, spu_id L, order_id L, appraise S, comment_txt S",
    ),
    (
        "order_info",
        "id L, consignee S, consignee_tel S, total_amount M, order_status S, user_id L, payment_way S, delivery_address S, out_trade_no S, expire_time T, province_id L, activity_reduce_amount M, coupon_reduce_amount M, original_total_amount M, feight_fee M, feight_fee_reduce M, refundable_time T, currency S, channel S, campaign S, is_test I",
    ),
    (
        "order_detail",
        "id L, order_id L, sku_id L, sku_name S, order_price M, sku_num I, split_total_amount M, split_activity_amount M, split_coupon_amount M, source_type S, source_id L",
    ),
    (
        "order_detail_activity",
        "id L, order_id L, order_detail_id L, activity_id L, activity_rule_id L, sku_id L",
    ),
    (
        "order_detail_coupon",
        "id L, order_id L, order_detail_id L, coupon_id L, coupon_use_id L, sku_id L",
    ),
    ("order_status_log", "id L, order_id L, order_status S"),
    (
        "payment_info",
        "id L, out_trade_no S, order_id L, user_id L, payment_type S, trade_no S, total_amount M, payment_status S, callback_time T",
    ),
    (
        "order_refund_info",
        "id L, user_id L, order_id L, sku_id L, refund_type S, refund_num I, refund_amount M, refund_reason_type S, refund_status S",
    ),
    (
        "refund_payment",
        "id L, out_trade_no S, order_id L, sku_id L, payment_type S, trade_no S, total_amount M, refund_status S, callback_time T",
    ),
];

/// The columns that identify a row of a table.
pub(super) fn keys_of(table: &str) -> &'static [&'static str] {
    match table {
        "base_dic" => &["dic_code"],
        "currency_rate" => &["currency", "day"],
        _ => &["id"],
    }
}

/// The statements that make all tables.
pub fn create_tables(dialect: Dialect) -> Vec<String> {
    let mut statements = Vec::new();
    for (table, columns) in TABLES {
        let mut lines = Vec::new();
        for column in columns
            .split(", ")
            .chain(["create_time T", "operate_time T"])
        {
            let (name, kind) = column.split_once(' ').unwrap_or((column, "S"));
            let kind = match (kind, dialect) {
                ("L", _) => "BIGINT",
                ("I", _) => "INT",
                ("M", _) => "DECIMAL(16, 2)",
                ("R", _) => "DECIMAL(18, 8)",
                ("D", _) => "DATE",
                ("T", Dialect::MySql) => "DATETIME",
                ("T", Dialect::PostgreSql) => "TIMESTAMP",
                _ => "VARCHAR(200)",
            };
            lines.push(format!("{name} {kind}"));
        }
        lines.push(format!("PRIMARY KEY ({})", keys_of(table).join(", ")));
        let columns = lines.join(", ");
        match dialect {
            Dialect::MySql => statements.push(format!(
                "CREATE TABLE {table} ({columns}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4"
            )),
            Dialect::PostgreSql => {
                statements.push(format!("CREATE TABLE {table} ({columns})"));
                // Changes then tell the whole row before them, which carts and
                // favourites are counted by.
                statements.push(format!("ALTER TABLE {table} REPLICA IDENTITY FULL"));
            }
        }
    }
    statements
}
