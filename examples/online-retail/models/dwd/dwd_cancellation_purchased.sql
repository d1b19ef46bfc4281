-- Grain: product on a cancellation invoice with a known customer.
-- Key: cancellation_no, sku, customer_id.
-- Inputs: dwd_cancellation, dwd_sale_line.
--
-- What the same customer had bought of the same product by then. The data does
-- not say which purchase a cancellation takes back; this is as far as it goes.
-- Purchases before the first file are unknown.
CREATE MATERIALIZED VIEW dwd_cancellation_purchased AS
SELECT
  c.cancellation_no,
  c.sku,
  c.customer_id,
  sum(s.quantity) AS purchased_quantity,
  max(s.invoice_time) AS last_purchase_time
FROM dwd_cancellation AS c
JOIN dwd_sale_line AS s
  ON s.customer_id = c.customer_id
  AND s.sku = c.sku
  AND s.invoice_time <= c.cancellation_time
GROUP BY c.cancellation_no, c.sku, c.customer_id
