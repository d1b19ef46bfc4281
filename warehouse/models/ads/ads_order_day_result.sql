-- Grain: business day of orders. Key: day. A query view.
-- Inputs: dwd_trade_order, dwd_trade_refund_detail.
--
-- What that day's orders brought in until now: paid_of_orders, refunded_of_orders
-- (whenever it went back), net_of_orders. ads_live_day shows the same money by
-- the day on which it moved.
CREATE VIEW ads_order_day_result AS
SELECT o.day, o.orders, o.gmv_gross, o.paid_of_orders,
  coalesce(r.refund_amount, 0) AS refunded_of_orders,
  o.paid_of_orders - coalesce(r.refund_amount, 0) AS net_of_orders
FROM (
  SELECT day, count(*) AS orders, sum(goods_amount) AS gmv_gross,
    coalesce(sum(goods_amount) FILTER (WHERE paid_time IS NOT NULL), 0) AS paid_of_orders
  FROM dwd_trade_order
  WHERE NOT is_test
  GROUP BY day
) AS o
LEFT JOIN (
  SELECT day, sum(refund_amount) AS refund_amount
  FROM dwd_trade_refund_detail WHERE NOT is_test GROUP BY day
) AS r ON r.day = o.day
