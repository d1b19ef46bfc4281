-- Must be empty: days on which gross is not what is unpaid, cancelled and paid
-- for of the orders made that day. A query view.
-- Inputs: dwd_trade_order, ads_live_day.
CREATE VIEW audit_gmv AS
SELECT d.day, d.gmv_gross, d.gmv_unpaid, d.gmv_cancelled, p.goods_of_paid_orders
FROM ads_live_day AS d
LEFT JOIN (
  SELECT day, sum(goods_amount) AS goods_of_paid_orders
  FROM dwd_trade_order
  WHERE paid_time IS NOT NULL AND NOT is_test
  GROUP BY day
) AS p ON p.day = d.day
WHERE d.gmv_gross <> d.gmv_unpaid + d.gmv_cancelled + coalesce(p.goods_of_paid_orders, 0)
