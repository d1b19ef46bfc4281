-- Grain: payment. Key: id.
-- Inputs: receipts, sales_orders.
--
-- A receipt that is confirmed is a payment that succeeded.
CREATE MATERIALIZED VIEW payment_info AS
SELECT
  r.receipt_no AS id,
  r.order_no AS order_id,
  o.customer_id AS user_id,
  r.method AS payment_type,
  r.amount AS total_amount,
  CASE WHEN r.confirmed_at IS NULL THEN 'open' ELSE 'confirmed' END AS payment_status,
  r.confirmed_at AS callback_time,
  o.placed_at AS create_time
FROM receipts AS r
LEFT JOIN sales_orders AS o ON o.order_no = r.order_no
