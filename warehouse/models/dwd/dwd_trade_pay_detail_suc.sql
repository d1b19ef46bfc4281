-- Grain: line of a paid order. Key: detail_id. A query view.
-- Inputs: dwd_trade_order_detail, dwd_trade_pay_suc, base_dic.
--
-- split_payment_amount: the line's part of what was paid for goods.
CREATE VIEW dwd_trade_pay_detail_suc AS
SELECT d.*, p.payment_type, t.dic_name AS payment_type_name, p.paid_time,
  d.amount AS split_payment_amount
FROM dwd_trade_order_detail AS d
JOIN dwd_trade_pay_suc AS p ON p.order_id = d.order_id
LEFT JOIN base_dic AS t ON t.dic_code = p.payment_type
