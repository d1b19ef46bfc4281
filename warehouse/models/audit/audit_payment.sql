-- Must be empty: paid orders whose payments are not their goods and freight, in
-- the order's own currency. A query view.
-- Inputs: order_info, order_detail, dwd_trade_pay_suc.
CREATE VIEW audit_payment AS
SELECT o.id AS order_id, a.goods_amount, o.feight_fee - o.feight_fee_reduce AS freight, p.paid_amount
FROM order_info AS o
JOIN (
  SELECT order_id, sum(split_total_amount) AS goods_amount FROM order_detail GROUP BY order_id
) AS a ON a.order_id = o.id
JOIN dwd_trade_pay_suc AS p ON p.order_id = o.id
WHERE p.paid_amount <> a.goods_amount + o.feight_fee - o.feight_fee_reduce
