-- Grain: business day. Key: day.
-- Inputs: dwd_trade_order, dwd_trade_refund_pay_suc, dws_traffic_channel_minute,
-- dwd_traffic_unique_visitor_detail, dwd_traffic_session.
--
-- By the day of the order's creation, goods without freight: gmv_gross; of it
-- gmv_unpaid (neither paid nor cancelled yet) and gmv_cancelled (cancelled
-- without a payment); freight after reduction; orders; order_users (members).
-- By the day on which the money moved: gmv_paid (goods of successful payments),
-- paid_orders, gmv_refunded; gmv_net = gmv_paid - gmv_refunded.
-- pv: page views; uv: devices; sessions: by the day of their start.
CREATE MATERIALIZED VIEW ads_live_day AS
SELECT
  day,
  sum(gmv_gross) AS gmv_gross,
  sum(gmv_unpaid) AS gmv_unpaid,
  sum(gmv_cancelled) AS gmv_cancelled,
  sum(gmv_paid) AS gmv_paid,
  sum(gmv_refunded) AS gmv_refunded,
  sum(gmv_paid) - sum(gmv_refunded) AS gmv_net,
  sum(freight) AS freight,
  sum(orders) AS orders,
  sum(order_users) AS order_users,
  sum(paid_orders) AS paid_orders,
  sum(pv) AS pv,
  sum(uv) AS uv,
  sum(sessions) AS sessions
FROM (
  SELECT
    day,
    sum(goods_amount) AS gmv_gross,
    sum(CASE WHEN status_name = 'unpaid' THEN goods_amount ELSE 0 END) AS gmv_unpaid,
    sum(CASE WHEN status_name = 'cancelled' THEN goods_amount ELSE 0 END) AS gmv_cancelled,
    CAST(0 AS DECIMAL(16, 2)) AS gmv_paid,
    CAST(0 AS DECIMAL(16, 2)) AS gmv_refunded,
    sum(freight) AS freight,
    count(*) AS orders,
    count(DISTINCT user_id) AS order_users,
    0 AS paid_orders, 0 AS pv, 0 AS uv, 0 AS sessions
  FROM dwd_trade_order
  WHERE NOT is_test
  GROUP BY day
  UNION ALL
  SELECT
    paid_day,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    sum(goods_amount),
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    0, 0, count(*), 0, 0, 0
  FROM dwd_trade_order
  WHERE paid_time IS NOT NULL AND NOT is_test
  GROUP BY paid_day
  UNION ALL
  SELECT
    day,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    CAST(0 AS DECIMAL(16, 2)),
    sum(refund_amount), CAST(0 AS DECIMAL(16, 2)),
    0, 0, 0, 0, 0, 0
  FROM dwd_trade_refund_pay_suc
  WHERE NOT is_test
  GROUP BY day
  UNION ALL
  SELECT
    day,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    0, 0, 0, sum(pv), 0, 0
  FROM dws_traffic_channel_minute
  GROUP BY day
  UNION ALL
  SELECT
    day,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    0, 0, 0, 0, count(*), 0
  FROM dwd_traffic_unique_visitor_detail
  GROUP BY day
  UNION ALL
  SELECT
    day,
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)), CAST(0 AS DECIMAL(16, 2)),
    0, 0, 0, 0, 0, count(*)
  FROM dwd_traffic_session
  GROUP BY day
) AS parts
GROUP BY day
