-- Grain: one order line.
-- Inputs: order_line.
CREATE MATERIALIZED VIEW dwd_order_line AS
SELECT
  order_id,
  customer_id,
  sku,
  quantity,
  unit_price,
  CAST(quantity AS DECIMAL(18, 0)) * unit_price AS amount,
  CAST(date_trunc('day', ordered_at AT TIME ZONE '${time_zone}') AS DATE) AS day
FROM order_line
WHERE quantity > 0
