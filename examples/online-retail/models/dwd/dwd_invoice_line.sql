-- Grain: one line of an invoice, as often as it occurs. Key: none.
-- Inputs: invoice_line.
--
-- Adds what the reports share: the amount, the business day and month, what
-- kind of line it is, and whether it is a clean sale (customer known, quantity
-- and price above zero, which is the common cleaning of this data).
CREATE MATERIALIZED VIEW dwd_invoice_line AS
SELECT
  invoice_no,
  upper(stock_code) AS sku,
  trim(description) AS description,
  quantity,
  unit_price,
  CAST(quantity AS DECIMAL(18, 0)) * unit_price AS amount,
  invoice_time,
  CAST(invoice_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  to_char(invoice_time AT TIME ZONE '${time_zone}', '%Y-%m') AS month,
  customer_id,
  country,
  invoice_no LIKE 'C%' AS is_cancellation,
  customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0 AS is_clean,
  -- What is not a product stands apart: postage, fees, corrections by hand.
  CASE
    WHEN upper(stock_code) IN ('POST', 'DOT', 'C2') THEN 'postage'
    WHEN upper(stock_code) IN ('BANK CHARGES', 'AMAZONFEE') THEN 'fee'
    WHEN upper(stock_code) IN ('M', 'B') THEN 'manual correction'
    WHEN upper(stock_code) = 'D' THEN 'discount'
    WHEN upper(stock_code) = 'S' THEN 'sample'
    WHEN upper(stock_code) = 'CRUK' THEN 'donation'
    WHEN upper(stock_code) = 'PADS' THEN 'cushion pads'
    WHEN upper(stock_code) LIKE 'GIFT\_%' THEN 'gift voucher'
    ELSE 'product'
  END AS line_kind
FROM invoice_line
