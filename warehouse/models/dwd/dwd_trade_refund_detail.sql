-- Grain: order line of whose goods something was refunded. Key: detail_id.
-- Inputs: dwd_trade_refund_sku, dwd_trade_order_detail, dwd_trade_pay_suc.
--
-- A refund names order and sku. What went back for a sku belongs to its lines in
-- the order of their ids, to each at most what was paid for it. day: of the
-- order's creation, so that refunds show beside what the order brought in.
CREATE MATERIALIZED VIEW dwd_trade_refund_detail AS
SELECT
  detail_id,
  order_id,
  sku_id,
  user_id,
  day,
  is_test,
  amount,
  CASE
    WHEN refund_amount <= earlier_amount THEN CAST(0 AS DECIMAL(16, 2))
    WHEN refund_amount - earlier_amount >= amount THEN amount
    ELSE CAST(refund_amount - earlier_amount AS DECIMAL(16, 2))
  END AS refund_amount
FROM (
  SELECT
    d.detail_id, d.order_id, d.sku_id, d.user_id, d.day, d.is_test, d.amount, r.refund_amount,
    coalesce(sum(e.amount) FILTER (WHERE e.detail_id < d.detail_id), 0) AS earlier_amount
  FROM dwd_trade_refund_sku AS r
  JOIN dwd_trade_pay_suc AS p ON p.order_id = r.order_id
  JOIN dwd_trade_order_detail AS d ON d.order_id = r.order_id AND d.sku_id = r.sku_id
  JOIN dwd_trade_order_detail AS e ON e.order_id = r.order_id AND e.sku_id = r.sku_id
  GROUP BY d.detail_id, d.order_id, d.sku_id, d.user_id, d.day, d.is_test, d.amount, r.refund_amount
) AS lines
