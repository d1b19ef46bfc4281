-- Must be empty: windows whose gross is not unpaid, cancelled and paid together,
-- or not original minus reductions. A query view.
-- Inputs: dws_trade_order_window.
CREATE VIEW audit_gmv_window AS
SELECT stt, gmv_gross, gmv_unpaid, gmv_cancelled, gmv_paid_of_orders, original_amount, activity_amount, coupon_amount
FROM dws_trade_order_window
WHERE gmv_gross <> gmv_unpaid + gmv_cancelled + gmv_paid_of_orders
  OR gmv_gross <> original_amount - activity_amount - coupon_amount
