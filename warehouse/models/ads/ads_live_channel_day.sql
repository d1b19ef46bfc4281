-- Grain: business day × channel. Key: day, channel.
-- Inputs: dws_traffic_channel_day, dwd_trade_order.
--
-- pv, uv: page views and devices; orders, gmv_gross: orders created, goods
-- without freight.
CREATE MATERIALIZED VIEW ads_live_channel_day AS
SELECT
  day,
  channel,
  sum(pv) AS pv,
  sum(uv) AS uv,
  sum(orders) AS orders,
  sum(gmv_gross) AS gmv_gross
FROM (
  SELECT day, channel, pv, uv, 0 AS orders, CAST(0 AS DECIMAL(16, 2)) AS gmv_gross
  FROM dws_traffic_channel_day
  UNION ALL
  SELECT day, channel, 0, 0, count(*), sum(goods_amount)
  FROM dwd_trade_order
  WHERE NOT is_test
  GROUP BY day, channel
) AS parts
GROUP BY day, channel
