-- Grain: kind of line: product, postage, fee, manual correction, …
-- Key: line_kind.
-- Inputs: dwd_invoice_line.
CREATE MATERIALIZED VIEW revenue_by_line_kind AS
SELECT
  line_kind,
  count(*) AS lines,
  sum(amount) AS amount_all,
  coalesce(sum(amount) FILTER (WHERE is_clean), 0) AS revenue_clean
FROM dwd_invoice_line
GROUP BY line_kind
