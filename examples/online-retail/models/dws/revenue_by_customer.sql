-- Grain: customer. Key: customer_id.
-- Inputs: dwd_sale_line, dwd_cancellation.
--
-- Sales and what was cancelled stand side by side; net is their difference.
CREATE MATERIALIZED VIEW revenue_by_customer AS
WITH sale AS (
  SELECT
    customer_id,
    count(DISTINCT invoice_no) AS invoices,
    min(day) AS first_day,
    max(day) AS last_day,
    sum(amount) AS revenue
  FROM dwd_sale_line
  GROUP BY customer_id
),
cancelled AS (
  SELECT customer_id, sum(amount) AS amount
  FROM dwd_cancellation
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id
)
SELECT
  sale.customer_id,
  sale.invoices,
  sale.first_day,
  sale.last_day,
  sale.revenue,
  coalesce(cancelled.amount, 0) AS cancelled,
  sale.revenue - coalesce(cancelled.amount, 0) AS net
FROM sale
LEFT JOIN cancelled ON cancelled.customer_id = sale.customer_id
