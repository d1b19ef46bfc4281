-- Grain: order line. Key: detail_id.
-- Inputs: order_detail, order_detail_activity, order_detail_coupon, base_dic,
-- order_info, dim_test_user, dim_sku_history, dim_order_rate.
--
-- amount: what is to be paid for the line = original_amount (pieces × price) -
-- activity_amount - coupon_amount; sku_name: as it was when the order was made;
-- spu_id, tm_id, category3_id: of the goods at that time; status: of the order,
-- now; activity_id, coupon_id: of a line with several, the first; day: of the
-- order's creation, in the business time zone; is_test: of a
-- test order or member. Amounts of an order in another currency (currency) are
-- converted at the rate of its day, each rounded to cents, and its
-- original_amount is their sum; order_price is as the shop wrote it.
CREATE MATERIALIZED VIEW dwd_trade_order_detail AS
SELECT
  d.id AS detail_id,
  d.order_id,
  o.user_id,
  d.sku_id,
  d.sku_name,
  d.sku_num AS pieces,
  d.order_price,
  CAST(CASE WHEN r.rate IS NULL THEN CAST(d.sku_num AS DECIMAL(10, 0)) * d.order_price
    ELSE round(d.split_total_amount * r.rate, 2) + round(d.split_activity_amount * r.rate, 2)
      + round(d.split_coupon_amount * r.rate, 2) END AS DECIMAL(27, 2)) AS original_amount,
  CASE WHEN r.rate IS NULL THEN d.split_activity_amount ELSE CAST(round(d.split_activity_amount * r.rate, 2) AS DECIMAL(16, 2)) END AS activity_amount,
  CASE WHEN r.rate IS NULL THEN d.split_coupon_amount ELSE CAST(round(d.split_coupon_amount * r.rate, 2) AS DECIMAL(16, 2)) END AS coupon_amount,
  CASE WHEN r.rate IS NULL THEN d.split_total_amount ELSE CAST(round(d.split_total_amount * r.rate, 2) AS DECIMAL(16, 2)) END AS amount,
  o.currency,
  a.activity_id,
  a.activity_rule_id,
  c.coupon_id,
  c.coupon_use_id,
  d.source_type,
  s.dic_name AS source_type_name,
  o.province_id,
  o.channel,
  o.campaign,
  o.order_status AS status,
  h.spu_id,
  h.tm_id,
  h.category3_id,
  o.is_test OR t.user_id IS NOT NULL AS is_test,
  o.create_time,
  CAST(o.create_time AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM order_detail AS d
LEFT JOIN (
  SELECT order_detail_id, min(activity_id) AS activity_id, min(activity_rule_id) AS activity_rule_id
  FROM order_detail_activity
  GROUP BY order_detail_id
) AS a ON a.order_detail_id = d.id
LEFT JOIN (
  SELECT order_detail_id, min(coupon_id) AS coupon_id, min(coupon_use_id) AS coupon_use_id
  FROM order_detail_coupon
  GROUP BY order_detail_id
) AS c ON c.order_detail_id = d.id
LEFT JOIN base_dic AS s ON s.dic_code = d.source_type
JOIN order_info AS o ON o.id = d.order_id
LEFT JOIN (
  SELECT order_id AS foreign_order_id, rate FROM dim_order_rate WHERE ${several_currencies}
) AS r ON r.foreign_order_id = d.order_id
LEFT JOIN dim_test_user AS t ON t.user_id = o.user_id
LEFT JOIN dim_sku_history AS h ON h.sku_id = d.sku_id
  AND (h.valid_from IS NULL OR h.valid_from <= o.create_time)
  AND (h.valid_to IS NULL OR o.create_time < h.valid_to)
