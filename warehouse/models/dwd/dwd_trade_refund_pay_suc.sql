-- Grain: refund that was paid out. Key: refund_id.
-- Inputs: refund_payment.
--
-- day, minute: when the money went back, in the business time zone.
CREATE MATERIALIZED VIEW dwd_trade_refund_pay_suc AS
SELECT
  id AS refund_id,
  order_id,
  sku_id,
  total_amount AS refund_amount,
  CAST(callback_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  CAST(date_part('hour', callback_time AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', callback_time AT TIME ZONE '${time_zone}') AS INT) AS minute
FROM refund_payment
WHERE refund_status = '${refund_succeeded}' AND callback_time IS NOT NULL
