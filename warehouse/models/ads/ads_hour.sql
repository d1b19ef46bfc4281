-- Grain: hour of a business day. Key: day, hour. A query view.
-- Inputs: ads_live_minute. Every column is the sum over the hour's minutes.
CREATE VIEW ads_hour AS
SELECT day, minute / 60 AS hour, sum(gmv_gross) AS gmv_gross, sum(gmv_net) AS gmv_net,
  sum(orders) AS orders, sum(paid_orders) AS paid_orders, sum(pv) AS pv, sum(uv_new_today) AS uv_new_today
FROM ads_live_minute
GROUP BY day, minute / 60
