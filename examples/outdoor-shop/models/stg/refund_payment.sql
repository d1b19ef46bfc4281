-- Grain: payment back. Key: id.
-- Inputs: paybacks.
CREATE MATERIALIZED VIEW refund_payment AS
SELECT
  payback_no AS id,
  order_no AS order_id,
  product_id AS sku_id,
  CAST(NULL AS VARCHAR) AS payment_type,
  amount AS total_amount,
  CASE WHEN paid_at IS NULL THEN 'asked' ELSE 'done' END AS refund_status,
  paid_at AS callback_time,
  paid_at AS create_time
FROM paybacks
