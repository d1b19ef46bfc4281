-- Grain: order with a successful payment. Key: order_id.
-- Inputs: payment_info.
--
-- paid_time: when the first payment succeeded. payment_type: of an order that was
-- paid in several ways, the first code of them.
CREATE MATERIALIZED VIEW dwd_trade_pay_suc AS
SELECT
  order_id,
  min(callback_time) AS paid_time,
  sum(total_amount) AS paid_amount,
  min(payment_type) AS payment_type
FROM payment_info
WHERE payment_status IN ('${payment_succeeded}') AND callback_time IS NOT NULL
GROUP BY order_id
