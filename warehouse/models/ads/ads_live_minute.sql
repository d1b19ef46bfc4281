-- Grain: minute of a business day in which something happened. Key: day,
-- minute (0 to 1439).
-- Inputs: dwd_trade_order, dwd_trade_refund_pay_suc, dws_traffic_channel_minute,
-- dwd_traffic_unique_visitor_detail.
--
-- gmv_gross, orders: orders created in the minute, goods without freight.
-- gmv_net: goods paid in the minute minus refunds paid out in it.
-- paid_orders: orders paid in the minute. pv: page views.
-- uv_new_today: devices whose first page view of the day was in the minute, so
-- that the sum over the minutes of one day is its uv.
CREATE MATERIALIZED VIEW ads_live_minute AS
SELECT
  day,
  minute,
  sum(gmv_gross) AS gmv_gross,
  sum(gmv_net) AS gmv_net,
  sum(orders) AS orders,
  sum(paid_orders) AS paid_orders,
  sum(pv) AS pv,
  sum(uv_new_today) AS uv_new_today
FROM (
  SELECT
    day, minute,
    sum(goods_amount) AS gmv_gross, CAST(0 AS DECIMAL(16, 2)) AS gmv_net,
    count(*) AS orders, 0 AS paid_orders, 0 AS pv, 0 AS uv_new_today
  FROM dwd_trade_order
  WHERE NOT is_test
  GROUP BY day, minute
  UNION ALL
  SELECT
    paid_day, paid_minute,
    CAST(0 AS DECIMAL(16, 2)), sum(goods_amount),
    0, count(*), 0, 0
  FROM dwd_trade_order
  WHERE paid_time IS NOT NULL AND NOT is_test
  GROUP BY paid_day, paid_minute
  UNION ALL
  SELECT
    day, minute,
    CAST(0 AS DECIMAL(16, 2)), -sum(refund_amount),
    0, 0, 0, 0
  FROM dwd_trade_refund_pay_suc
  WHERE NOT is_test
  GROUP BY day, minute
  UNION ALL
  SELECT
    day, minute,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    0, 0, sum(pv), 0
  FROM dws_traffic_channel_minute
  GROUP BY day, minute
  UNION ALL
  SELECT
    day, first_minute,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    0, 0, 0, count(*)
  FROM dwd_traffic_unique_visitor_detail
  GROUP BY day, first_minute
) AS parts
GROUP BY day, minute
