-- Must be empty: goods of an order of which more went back than its lines hold,
-- or of which nothing was paid or ordered. Of orders in another currency, more than
-- roundings explain. A query view.
-- Inputs: dwd_trade_refund_sku, dwd_trade_refund_detail, dim_order_rate.
CREATE VIEW audit_refund AS
SELECT r.order_id, r.sku_id, r.refund_amount, coalesce(d.refund_amount, 0) AS of_lines
FROM dwd_trade_refund_sku AS r
LEFT JOIN (
  SELECT order_id, sku_id, sum(refund_amount) AS refund_amount
  FROM dwd_trade_refund_detail GROUP BY order_id, sku_id
) AS d ON d.order_id = r.order_id AND d.sku_id = r.sku_id
LEFT JOIN dim_order_rate AS f ON f.order_id = r.order_id
WHERE abs(r.refund_amount - coalesce(d.refund_amount, 0)) > CASE WHEN f.order_id IS NULL THEN 0 ELSE 0.05 END
