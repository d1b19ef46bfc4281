-- Grain: order × sku of which something was refunded. Key: order_id, sku_id.
-- Inputs: refund_payment, dim_order_rate.
--
-- refund_amount: in the shop's currency, at the rate of the order's day.
CREATE MATERIALIZED VIEW dwd_trade_refund_sku AS
SELECT order_id, sku_id, sum(
  CASE WHEN r.rate IS NULL THEN total_amount ELSE CAST(round(total_amount * r.rate, 2) AS DECIMAL(16, 2)) END
) AS refund_amount
FROM refund_payment
LEFT JOIN (
  SELECT order_id AS foreign_order_id, rate FROM dim_order_rate WHERE ${several_currencies}
) AS r ON r.foreign_order_id = order_id
WHERE refund_status IN ('${refund_succeeded}') AND callback_time IS NOT NULL AND sku_id IS NOT NULL
GROUP BY order_id, sku_id
