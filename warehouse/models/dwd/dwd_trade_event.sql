-- Grain: order made, order paid, or refund paid out. Key: counts_for, order_id,
-- refund_id. A query view.
-- Inputs: dwd_trade_order, dwd_trade_refund_pay_suc.
--
-- The rows of which the figures of trade by the day of the money are made
-- (ads_live_day, ads_hour), without orders and members of tests. counts_for: ordered,
-- paid or refunded. event_time, day, minute: when it was made, paid, or paid out.
-- goods_amount: goods after reductions, without freight; of a refund what was paid
-- back. freight: of orders that were made.
CREATE VIEW dwd_trade_event AS
SELECT 'ordered' AS counts_for, create_time AS event_time, day, minute, order_id,
  CAST(NULL AS BIGINT) AS refund_id, user_id, province_name, channel, pieces, goods_amount, freight, status_name
FROM dwd_trade_order
WHERE NOT is_test
UNION ALL
SELECT 'paid', paid_time, paid_day, paid_minute, order_id,
  NULL, user_id, province_name, channel, pieces, goods_amount, NULL, status_name
FROM dwd_trade_order
WHERE paid_time IS NOT NULL AND NOT is_test
UNION ALL
SELECT 'refunded', callback_time, day, minute, order_id,
  refund_id, user_id, NULL, NULL, NULL, refund_amount, NULL, NULL
FROM dwd_trade_refund_pay_suc
WHERE NOT is_test
