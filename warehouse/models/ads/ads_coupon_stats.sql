-- Grain: business day × coupon. Key: day, coupon_id. A query view.
-- Inputs: dwd_trade_order_detail, coupon_info.
--
-- Lines ordered that day to which the coupon applied: orders, original_amount,
-- reduce_amount; subsidy_rate = reduce_amount / original_amount.
CREATE VIEW ads_coupon_stats AS
SELECT
  d.day,
  d.coupon_id,
  i.coupon_name,
  count(DISTINCT d.order_id) AS orders,
  count(DISTINCT d.user_id) AS users,
  sum(d.original_amount) AS original_amount,
  sum(d.coupon_amount) AS reduce_amount,
  CAST(sum(d.coupon_amount) AS DOUBLE) / nullif(CAST(sum(d.original_amount) AS DOUBLE), 0) AS subsidy_rate
FROM dwd_trade_order_detail AS d
LEFT JOIN coupon_info AS i ON i.id = d.coupon_id
WHERE d.coupon_id IS NOT NULL AND NOT d.is_test
GROUP BY d.day, d.coupon_id, i.coupon_name
