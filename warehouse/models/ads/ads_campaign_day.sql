-- Grain: business day × channel × campaign. Key: day, channel, campaign. A query
-- view.
-- Inputs: dwd_traffic_session, dwd_trade_order, order_info.
--
-- sessions, bounces: by channel and campaign of the session's first page view;
-- orders, gmv_gross, gmv_paid: by those that the order names. '' is no campaign.
CREATE VIEW ads_campaign_day AS
SELECT day, channel, campaign, sum(sessions) AS sessions, sum(bounces) AS bounces,
  sum(orders) AS orders, sum(gmv_gross) AS gmv_gross, sum(gmv_paid) AS gmv_paid
FROM (
  SELECT day, channel, campaign, count(*) AS sessions, count(*) FILTER (WHERE pages = 1) AS bounces,
    0 AS orders, CAST(0 AS DECIMAL(16, 2)) AS gmv_gross, CAST(0 AS DECIMAL(16, 2)) AS gmv_paid
  FROM dwd_traffic_session
  GROUP BY day, channel, campaign
  UNION ALL
  SELECT o.day, o.channel, coalesce(i.campaign, ''), 0, 0, count(*), sum(o.goods_amount),
    coalesce(sum(o.goods_amount) FILTER (WHERE o.paid_time IS NOT NULL), 0)
  FROM dwd_trade_order AS o
  JOIN order_info AS i ON i.id = o.order_id
  WHERE NOT o.is_test
  GROUP BY o.day, o.channel, coalesce(i.campaign, '')
) AS parts
GROUP BY day, channel, campaign
