-- Grain: business day × activity. Key: day, activity_id. A query view.
-- Inputs: dwd_trade_order_detail, activity_info.
--
-- Lines ordered that day to which the activity applied: orders, original_amount,
-- reduce_amount; subsidy_rate = reduce_amount / original_amount.
CREATE VIEW ads_activity_stats AS
SELECT
  d.day,
  d.activity_id,
  i.activity_name,
  count(DISTINCT d.order_id) AS orders,
  count(DISTINCT d.user_id) AS users,
  sum(d.original_amount) AS original_amount,
  sum(d.activity_amount) AS reduce_amount,
  CAST(sum(d.activity_amount) AS DOUBLE) / nullif(CAST(sum(d.original_amount) AS DOUBLE), 0) AS subsidy_rate
FROM dwd_trade_order_detail AS d
LEFT JOIN activity_info AS i ON i.id = d.activity_id
WHERE d.activity_id IS NOT NULL AND NOT d.is_test
GROUP BY d.day, d.activity_id, i.activity_name
