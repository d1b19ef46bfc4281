-- Must be empty: orders whose total is not their lines and freight. A query view.
-- Inputs: order_info, dwd_trade_order_amount.
CREATE VIEW audit_order_total AS
SELECT o.id AS order_id, o.total_amount, a.goods_amount, o.feight_fee, o.feight_fee_reduce
FROM order_info AS o
JOIN dwd_trade_order_amount AS a ON a.order_id = o.id
WHERE o.total_amount <> a.goods_amount + o.feight_fee - o.feight_fee_reduce
