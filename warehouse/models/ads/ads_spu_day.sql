-- Grain: business day × product. Key: day, spu_id. A query view.
-- Inputs: dwd_trade_order_detail, dwd_trade_refund_detail and names of today.
--
-- orders: distinct orders; pieces: those that were ordered; gmv_gross: goods ordered
-- that day; gmv_refunded: of them, what went back until now.
CREATE VIEW ads_spu_day AS
SELECT
  d.day,
  d.spu_id,
  n.spu_name,
  count(DISTINCT d.order_id) AS orders,
  sum(d.pieces) AS pieces,
  sum(d.amount) AS gmv_gross,
  sum(coalesce(r.refund_amount, CAST(0 AS DECIMAL(16, 2)))) AS gmv_refunded
FROM dwd_trade_order_detail AS d
LEFT JOIN dwd_trade_refund_detail AS r ON r.detail_id = d.detail_id
LEFT JOIN dim_spu AS n ON n.spu_id = d.spu_id
WHERE NOT d.is_test
GROUP BY d.day, d.spu_id, n.spu_name
