-- Grain: order. Key: order_id.
-- Inputs: order_detail.
--
-- goods_amount: what is to be paid for the goods, after reductions, without
-- freight = original_amount (pieces × price) - activity_amount - coupon_amount.
-- The order's own total_amount is never summed over its lines.
CREATE MATERIALIZED VIEW dwd_trade_order_amount AS
SELECT
  order_id,
  count(*) AS lines,
  sum(sku_num) AS pieces,
  sum(CAST(sku_num AS DECIMAL(10, 0)) * order_price) AS original_amount,
  sum(split_activity_amount) AS activity_amount,
  sum(split_coupon_amount) AS coupon_amount,
  sum(split_total_amount) AS goods_amount
FROM order_detail
GROUP BY order_id
