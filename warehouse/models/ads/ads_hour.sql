-- Grain: hour of a business day. Key: day, hour. A query view.
-- Inputs: ads_live_minute.
--
-- Sums over the hour's minutes. gmv_gross: goods of the orders made in the hour;
-- gmv_net: goods paid in it minus refunds paid out in it; orders: made in it;
-- paid_orders: paid in it; pv: page views; uv_new_today: devices whose first page view
-- of the day was in it.
CREATE VIEW ads_hour AS
SELECT day, minute / 60 AS hour, sum(gmv_gross) AS gmv_gross, sum(gmv_net) AS gmv_net,
  sum(orders) AS orders, sum(paid_orders) AS paid_orders, sum(pv) AS pv, sum(uv_new_today) AS uv_new_today
FROM ads_live_minute
GROUP BY day, minute / 60
