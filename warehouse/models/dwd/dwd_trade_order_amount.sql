-- Grain: order. Key: order_id.
-- Inputs: order_detail, dim_order_rate.
--
-- goods_amount: what is to be paid for the goods, after reductions, without
-- freight = original_amount (pieces × price) - activity_amount - coupon_amount.
-- The order's own total_amount is never summed over its lines. Amounts of an order
-- in another currency are converted at the rate of its day, each rounded to cents.
CREATE MATERIALIZED VIEW dwd_trade_order_amount AS
SELECT
  order_id,
  count(*) AS lines,
  sum(sku_num) AS pieces,
  sum(original_amount) AS original_amount,
  sum(split_activity_amount) AS activity_amount,
  sum(split_coupon_amount) AS coupon_amount,
  sum(split_total_amount) AS goods_amount
FROM (
  SELECT
    d.order_id,
    d.sku_num,
    CAST(CASE WHEN r.rate IS NULL THEN CAST(d.sku_num AS DECIMAL(10, 0)) * d.order_price
      ELSE round(d.split_total_amount * r.rate, 2) + round(d.split_activity_amount * r.rate, 2)
        + round(d.split_coupon_amount * r.rate, 2) END AS DECIMAL(27, 2)) AS original_amount,
    CASE WHEN r.rate IS NULL THEN d.split_activity_amount ELSE CAST(round(d.split_activity_amount * r.rate, 2) AS DECIMAL(16, 2)) END AS split_activity_amount,
    CASE WHEN r.rate IS NULL THEN d.split_coupon_amount ELSE CAST(round(d.split_coupon_amount * r.rate, 2) AS DECIMAL(16, 2)) END AS split_coupon_amount,
    CASE WHEN r.rate IS NULL THEN d.split_total_amount ELSE CAST(round(d.split_total_amount * r.rate, 2) AS DECIMAL(16, 2)) END AS split_total_amount
  FROM order_detail AS d
  LEFT JOIN (
    SELECT order_id AS foreign_order_id, rate FROM dim_order_rate WHERE ${several_currencies}
  ) AS r ON r.foreign_order_id = d.order_id
) AS lines
GROUP BY order_id
