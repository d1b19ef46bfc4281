-- Must be empty: paid orders whose payments are not their goods and freight. A
-- query view.
-- Inputs: dwd_trade_order, dwd_trade_pay_suc.
CREATE VIEW audit_payment AS
SELECT o.order_id, o.goods_amount, o.freight, p.paid_amount
FROM dwd_trade_order AS o
JOIN dwd_trade_pay_suc AS p ON p.order_id = o.order_id
WHERE p.paid_amount <> o.goods_amount + o.freight
