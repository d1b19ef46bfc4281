-- Grain: product. Key: sku.
-- Inputs: dwd_sale_line, dwd_invoice_line (for the name).
--
-- Postage, fees and corrections are no products; see revenue_by_line_kind.
-- A product has had several descriptions; of those on clean sales the last in
-- the alphabet stands here (others say `damaged` or `faulty`).
CREATE MATERIALIZED VIEW revenue_by_product AS
WITH name AS (
  SELECT sku, max(description) AS description
  FROM dwd_invoice_line
  WHERE is_clean AND line_kind = 'product'
  GROUP BY sku
),
sale AS (
  SELECT
    sku,
    count(DISTINCT invoice_no) AS invoices,
    count(DISTINCT customer_id) AS customers,
    sum(quantity) AS quantity,
    sum(amount) AS revenue
  FROM dwd_sale_line
  WHERE line_kind = 'product'
  GROUP BY sku
)
SELECT
  sale.sku,
  name.description,
  sale.invoices,
  sale.customers,
  sale.quantity,
  sale.revenue
FROM sale
LEFT JOIN name ON name.sku = sale.sku
