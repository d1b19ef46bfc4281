-- Grain: business day × category of the third level. Key: day, category3_id. A query view.
-- Inputs: dwd_trade_order_detail, dwd_trade_refund_detail and names of today.
--
-- orders: distinct orders; pieces: those that were ordered; gmv_gross: goods ordered
-- that day; gmv_refunded: of them, what went back until now.
CREATE VIEW ads_category_day AS
SELECT
  d.day,
  n.category1_id,
  n.category1_name,
  n.category2_id,
  n.category2_name,
  d.category3_id,
  n.category3_name,
  count(DISTINCT d.order_id) AS orders,
  sum(d.pieces) AS pieces,
  sum(d.amount) AS gmv_gross,
  sum(coalesce(r.refund_amount, CAST(0 AS DECIMAL(16, 2)))) AS gmv_refunded
FROM dwd_trade_order_detail AS d
LEFT JOIN dwd_trade_refund_detail AS r ON r.detail_id = d.detail_id
LEFT JOIN dim_category3 AS n ON n.category3_id = d.category3_id
WHERE NOT d.is_test
GROUP BY d.day, n.category1_id, n.category1_name, n.category2_id, n.category2_name, d.category3_id, n.category3_name
