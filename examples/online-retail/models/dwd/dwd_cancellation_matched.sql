-- Grain: product on a cancellation invoice.
-- Key: cancellation_no, sku, customer_id (null where the customer is unknown).
-- Inputs: dwd_cancellation, dwd_cancellation_purchased, dwd_cancellation_earlier.
--
-- How much of a cancellation has a purchase behind it: same customer, same
-- product, not later, oldest cancellations first.
CREATE MATERIALIZED VIEW dwd_cancellation_matched AS
WITH open_purchase AS (
  SELECT
    c.cancellation_no,
    c.sku,
    c.customer_id,
    c.cancellation_time,
    c.month,
    c.line_kind,
    c.quantity,
    c.amount,
    p.last_purchase_time,
    coalesce(p.purchased_quantity, 0) - coalesce(e.cancelled_quantity, 0) AS open_quantity
  FROM dwd_cancellation AS c
  LEFT JOIN dwd_cancellation_purchased AS p
    ON p.cancellation_no = c.cancellation_no
    AND p.sku = c.sku
    AND p.customer_id = c.customer_id
  LEFT JOIN dwd_cancellation_earlier AS e
    ON e.cancellation_no = c.cancellation_no
    AND e.sku = c.sku
    AND e.customer_id = c.customer_id
)
SELECT
  cancellation_no,
  sku,
  customer_id,
  cancellation_time,
  month,
  line_kind,
  quantity,
  amount,
  last_purchase_time,
  CASE
    WHEN open_quantity >= quantity THEN quantity
    WHEN open_quantity > 0 THEN open_quantity
    ELSE 0
  END AS matched_quantity,
  CASE
    WHEN line_kind <> 'product' THEN 'no product'
    WHEN customer_id IS NULL THEN 'customer unknown'
    WHEN open_quantity >= quantity THEN 'matched'
    WHEN open_quantity > 0 THEN 'partly matched'
    ELSE 'no purchase known'
  END AS match_status
FROM open_purchase
