-- Grain: product on a cancellation invoice.
-- Key: cancellation_no, sku, customer_id (null where the customer is unknown).
-- Inputs: dwd_invoice_line.
--
-- Quantities and amounts are positive: what was cancelled.
CREATE MATERIALIZED VIEW dwd_cancellation AS
SELECT
  invoice_no AS cancellation_no,
  sku,
  customer_id,
  min(invoice_time) AS cancellation_time,
  min(month) AS month,
  min(line_kind) AS line_kind,
  count(*) AS lines,
  -sum(quantity) AS quantity,
  -sum(amount) AS amount
FROM dwd_invoice_line
WHERE is_cancellation
GROUP BY invoice_no, sku, customer_id
