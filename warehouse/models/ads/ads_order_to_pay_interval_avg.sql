-- Grain: business day of the payment. Key: day. A query view.
-- Inputs: dwd_trade_order.
--
-- seconds: from an order's creation to its payment, on average.
CREATE VIEW ads_order_to_pay_interval_avg AS
SELECT paid_day AS day, count(*) AS paid_orders,
  avg(CAST(date_part('epoch', paid_time) - date_part('epoch', create_time) AS DOUBLE)) AS seconds
FROM dwd_trade_order
WHERE paid_time IS NOT NULL AND NOT is_test
GROUP BY paid_day
