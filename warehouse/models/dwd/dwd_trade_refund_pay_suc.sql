-- Grain: refund that was paid out. Key: refund_id.
-- Inputs: refund_payment, order_info, dim_test_user, dim_order_rate.
--
-- day, minute: when the money went back, in the business time zone; is_test: of
-- a test order or member. A refund of an order that is not there counts.
-- refund_amount: in the shop's currency, at the rate of the order's day.
CREATE MATERIALIZED VIEW dwd_trade_refund_pay_suc AS
SELECT
  r.id AS refund_id,
  r.order_id,
  r.sku_id,
  o.user_id,
  CASE WHEN c.rate IS NULL THEN r.total_amount
    ELSE CAST(round(r.total_amount * c.rate, 2) AS DECIMAL(16, 2)) END AS refund_amount,
  coalesce(o.is_test, FALSE) OR t.user_id IS NOT NULL AS is_test,
  r.callback_time,
  CAST(r.callback_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  CAST(date_part('hour', r.callback_time AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', r.callback_time AT TIME ZONE '${time_zone}') AS INT) AS minute
FROM refund_payment AS r
LEFT JOIN order_info AS o ON o.id = r.order_id
LEFT JOIN (
  SELECT order_id AS foreign_order_id, rate FROM dim_order_rate WHERE ${several_currencies}
) AS c ON c.foreign_order_id = r.order_id
LEFT JOIN dim_test_user AS t ON t.user_id = o.user_id
WHERE r.refund_status IN ('${refund_succeeded}') AND r.callback_time IS NOT NULL
