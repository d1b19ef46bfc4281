-- Must be empty: lines whose amount is not pieces × price less reductions, and
-- lines that stand in the detail more than once. A query view.
-- Inputs: dwd_trade_order_detail.
CREATE VIEW audit_order_line AS
SELECT detail_id, count(*) AS times, min(original_amount) AS original_amount, min(activity_amount) AS activity_amount,
  min(coupon_amount) AS coupon_amount, min(amount) AS amount
FROM dwd_trade_order_detail
GROUP BY detail_id
HAVING count(*) > 1 OR min(original_amount - activity_amount - coupon_amount - amount) <> 0
