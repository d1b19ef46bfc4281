-- Must be empty: orders whose total is not their lines and freight, in their own
-- currency. A query view.
-- Inputs: order_info, order_detail.
CREATE VIEW audit_order_total AS
SELECT o.id AS order_id, o.total_amount, a.goods_amount, o.feight_fee, o.feight_fee_reduce
FROM order_info AS o
JOIN (
  SELECT order_id, sum(split_total_amount) AS goods_amount FROM order_detail GROUP BY order_id
) AS a ON a.order_id = o.id
WHERE o.total_amount <> a.goods_amount + o.feight_fee - o.feight_fee_reduce
