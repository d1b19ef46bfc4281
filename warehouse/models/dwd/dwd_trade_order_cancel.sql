-- Grain: order that was cancelled without a payment. Key: order_id.
-- Inputs: dwd_trade_order, order_status_log, order_status_change.
--
-- cancel_time: of the status change, from the shop's own log, else from the
-- change of the row. Never operate_time, which any later change overwrites.
CREATE MATERIALIZED VIEW dwd_trade_order_cancel AS
SELECT
  o.order_id,
  coalesce(min(e.happened) FILTER (WHERE e.kind = 'log'), min(e.happened)) AS cancel_time,
  o.user_id,
  o.goods_amount,
  o.is_test
FROM dwd_trade_order AS o
JOIN (
  SELECT order_id, create_time AS happened, 'log' AS kind
  FROM order_status_log
  WHERE order_status IN ('${order_cancelled}') AND create_time IS NOT NULL
  UNION ALL
  SELECT id, change_time, 'change'
  FROM order_status_change
  WHERE order_status IN ('${order_cancelled}')
) AS e ON e.order_id = o.order_id
WHERE o.status_name = 'cancelled'
GROUP BY o.order_id, o.user_id, o.goods_amount, o.is_test
