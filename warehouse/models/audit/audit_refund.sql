-- Must be empty: goods of an order of which more went back than its lines hold,
-- or of which nothing was paid or ordered. A query view.
-- Inputs: dwd_trade_refund_sku, dwd_trade_refund_detail.
CREATE VIEW audit_refund AS
SELECT r.order_id, r.sku_id, r.refund_amount, coalesce(d.refund_amount, 0) AS of_lines
FROM dwd_trade_refund_sku AS r
LEFT JOIN (
  SELECT order_id, sku_id, sum(refund_amount) AS refund_amount
  FROM dwd_trade_refund_detail GROUP BY order_id, sku_id
) AS d ON d.order_id = r.order_id AND d.sku_id = r.sku_id
WHERE r.refund_amount <> coalesce(d.refund_amount, 0)
