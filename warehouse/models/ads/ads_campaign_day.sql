-- Grain: business day × channel × campaign. Key: day, channel, campaign. A query
-- view.
-- Inputs: dwd_traffic_session, dwd_trade_order, order_info, dwd_trade_refund_detail.
--
-- campaign: '' is none; sessions: by channel and campaign of the session's first page
-- view; bounces: of them, those of one page so far; orders: made that day, by the
-- channel and campaign that the order names; gmv_gross: their goods; gmv_paid: goods of
-- those that are paid by now; gmv_refunded: of these, what went back until now; aov:
-- gmv_paid minus gmv_refunded, by those of the day's orders that are paid by now;
-- units_per_order: pieces by orders; conversion: orders by sessions.
CREATE VIEW ads_campaign_day AS
SELECT day, channel, campaign, sum(sessions) AS sessions, sum(bounces) AS bounces,
  sum(orders) AS orders, sum(gmv_gross) AS gmv_gross, sum(gmv_paid) AS gmv_paid,
  sum(gmv_refunded) AS gmv_refunded,
  (sum(gmv_paid) - sum(gmv_refunded)) / nullif(sum(paid_orders), 0) AS aov,
  CAST(sum(pieces) AS DOUBLE) / nullif(sum(orders), 0) AS units_per_order,
  CAST(sum(orders) AS DOUBLE) / nullif(sum(sessions), 0) AS conversion
FROM (
  SELECT day, channel, campaign, count(*) AS sessions, count(*) FILTER (WHERE pages = 1) AS bounces,
    0 AS orders, 0 AS paid_orders, 0 AS pieces, CAST(0 AS DECIMAL(16, 2)) AS gmv_gross,
    CAST(0 AS DECIMAL(16, 2)) AS gmv_paid, CAST(0 AS DECIMAL(16, 2)) AS gmv_refunded
  FROM dwd_traffic_session
  GROUP BY day, channel, campaign
  UNION ALL
  SELECT o.day, o.channel, coalesce(i.campaign, ''), 0, 0, count(*), count(o.paid_time), sum(o.pieces),
    sum(o.goods_amount), coalesce(sum(o.goods_amount) FILTER (WHERE o.paid_time IS NOT NULL), 0),
    coalesce(sum(r.refund_amount), 0)
  FROM dwd_trade_order AS o
  JOIN order_info AS i ON i.id = o.order_id
  LEFT JOIN (
    SELECT order_id, sum(refund_amount) AS refund_amount FROM dwd_trade_refund_detail GROUP BY order_id
  ) AS r ON r.order_id = o.order_id
  WHERE NOT o.is_test
  GROUP BY o.day, o.channel, coalesce(i.campaign, '')
) AS parts
GROUP BY day, channel, campaign
