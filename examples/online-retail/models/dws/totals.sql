-- Grain: the whole of the data; one row.
-- Inputs: dwd_invoice_line.
--
-- amount_all is over all rows, cancellations and corrections among them; the
-- clean figures are over clean sales alone.
CREATE MATERIALIZED VIEW totals AS
SELECT
  count(*) AS rows,
  count(customer_id) AS rows_with_customer,
  sum(amount) AS amount_all,
  count(*) FILTER (WHERE is_clean) AS clean_rows,
  count(DISTINCT customer_id) FILTER (WHERE is_clean) AS clean_customers,
  count(DISTINCT invoice_no) FILTER (WHERE is_clean) AS clean_invoices,
  sum(amount) FILTER (WHERE is_clean) AS clean_revenue
FROM dwd_invoice_line
