-- Grain: order × sku of which something was refunded. Key: order_id, sku_id.
-- Inputs: refund_payment.
CREATE MATERIALIZED VIEW dwd_trade_refund_sku AS
SELECT order_id, sku_id, sum(total_amount) AS refund_amount
FROM refund_payment
WHERE refund_status = '${refund_succeeded}' AND callback_time IS NOT NULL AND sku_id IS NOT NULL
GROUP BY order_id, sku_id
