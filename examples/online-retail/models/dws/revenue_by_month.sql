-- Grain: one business month. Key: month, as 2010-12.
-- Inputs: dwd_invoice_line.
CREATE MATERIALIZED VIEW revenue_by_month AS
SELECT
  month,
  coalesce(sum(amount) FILTER (WHERE is_clean), 0) AS revenue_clean,
  sum(amount) AS revenue_all_rows
FROM dwd_invoice_line
GROUP BY month
