-- Grain: order. Key: id.
-- Inputs: sales_orders, sales_order_items.
--
-- What vouchers take off is on the items here.
CREATE MATERIALIZED VIEW order_info AS
SELECT
  o.order_no AS id,
  o.total AS total_amount,
  o.state AS order_status,
  o.customer_id AS user_id,
  CAST(NULL AS VARCHAR) AS payment_way,
  o.area_id AS province_id,
  CAST(0 AS DECIMAL(16, 2)) AS activity_reduce_amount,
  CAST(coalesce(i.voucher, 0) AS DECIMAL(16, 2)) AS coupon_reduce_amount,
  CAST(o.total - o.shipping + coalesce(i.voucher, 0) AS DECIMAL(16, 2)) AS original_total_amount,
  o.shipping AS feight_fee,
  CAST(0 AS DECIMAL(16, 2)) AS feight_fee_reduce,
  o.shop AS channel,
  CAST(NULL AS VARCHAR) AS campaign,
  '${currency}' AS currency,
  FALSE AS is_test,
  o.placed_at AS create_time
FROM sales_orders AS o
LEFT JOIN (
  SELECT order_no, sum(voucher) AS voucher FROM sales_order_items GROUP BY order_no
) AS i ON i.order_no = o.order_no
