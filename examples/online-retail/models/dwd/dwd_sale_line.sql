-- Grain: one line of a clean sale, as often as it occurs. Key: none.
-- Inputs: dwd_invoice_line.
CREATE MATERIALIZED VIEW dwd_sale_line AS
SELECT
  invoice_no,
  sku,
  quantity,
  unit_price,
  amount,
  invoice_time,
  day,
  month,
  customer_id,
  country,
  line_kind
FROM dwd_invoice_line
WHERE is_clean
