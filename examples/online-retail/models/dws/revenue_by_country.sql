-- Grain: country. Key: country.
-- Inputs: dwd_sale_line.
CREATE MATERIALIZED VIEW revenue_by_country AS
SELECT
  country,
  count(DISTINCT invoice_no) AS invoices,
  count(DISTINCT customer_id) AS customers,
  sum(quantity) AS quantity,
  sum(amount) AS revenue
FROM dwd_sale_line
GROUP BY country
