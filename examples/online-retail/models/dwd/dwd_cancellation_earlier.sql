-- Grain: product on a cancellation invoice with a known customer.
-- Key: cancellation_no, sku, customer_id.
-- Inputs: dwd_cancellation.
--
-- What the same customer had cancelled of the same product before: a piece
-- that was bought once cannot be taken back twice. Cancellations of the same
-- minute go by their number.
CREATE MATERIALIZED VIEW dwd_cancellation_earlier AS
SELECT
  c.cancellation_no,
  c.sku,
  c.customer_id,
  sum(e.quantity) AS cancelled_quantity
FROM dwd_cancellation AS c
JOIN dwd_cancellation AS e
  ON e.customer_id = c.customer_id
  AND e.sku = c.sku
  AND (
    e.cancellation_time < c.cancellation_time
    OR (e.cancellation_time = c.cancellation_time AND e.cancellation_no < c.cancellation_no)
  )
GROUP BY c.cancellation_no, c.sku, c.customer_id
