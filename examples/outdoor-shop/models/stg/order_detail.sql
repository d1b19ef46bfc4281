-- Grain: order line. Key: id.
-- Inputs: sales_order_items, sales_orders.
--
-- The shop writes no line totals.
CREATE MATERIALIZED VIEW order_detail AS
SELECT
  i.item_no AS id,
  i.order_no AS order_id,
  i.product_id AS sku_id,
  i.title AS sku_name,
  i.unit_price AS order_price,
  i.quantity AS sku_num,
  CAST(CAST(i.quantity AS DECIMAL(10, 0)) * i.unit_price - i.voucher AS DECIMAL(16, 2)) AS split_total_amount,
  CAST(0 AS DECIMAL(16, 2)) AS split_activity_amount,
  i.voucher AS split_coupon_amount,
  CAST(NULL AS VARCHAR) AS source_type,
  o.placed_at AS create_time
FROM sales_order_items AS i
JOIN sales_orders AS o ON o.order_no = i.order_no
