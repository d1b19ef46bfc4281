-- Grain: member who ordered. Key: user_id.
-- Inputs: dwd_trade_order.
--
-- first_order_time, first_paid_time: of the member's first order, and first paid
-- one, without those of tests.
CREATE MATERIALIZED VIEW dwd_trade_user_first AS
SELECT
  user_id,
  min(create_time) AS first_order_time,
  min(paid_time) AS first_paid_time
FROM dwd_trade_order
WHERE NOT is_test
GROUP BY user_id
