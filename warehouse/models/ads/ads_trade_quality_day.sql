-- Grain: business day. Key: day. A query view.
-- Inputs: ads_live_day, dwd_trade_order, dwd_trade_order_amount,
-- dwd_trade_cart_add, dwd_trade_order_detail, dwd_trade_user_first,
-- dwd_trade_order_device.
--
-- aov: goods paid that day minus goods refunded that day, by orders paid that day.
-- units_per_order: pieces by orders. activity_subsidy_rate, coupon_subsidy_rate: what
-- activities, or coupons, took off, by the original amount. conversion: orders by
-- sessions. order_devices: devices with which members ordered (dwd_trade_order_device).
-- device_conversion: order_devices by the day's devices. pay_users: members who paid that
-- day; new_buyers: members whose first order was that day, paid or not. carted: pairs of
-- member and sku that were put in a cart that day; cart_abandonment: part of them that
-- the member did not order within the setting cart_abandoned_after; so far, for a day
-- of which that time is not over.
CREATE VIEW ads_trade_quality_day AS
WITH orders AS (
  SELECT o.day, sum(a.pieces) AS pieces, sum(a.original_amount) AS original_amount,
    sum(a.activity_amount) AS activity_amount, sum(a.coupon_amount) AS coupon_amount
  FROM dwd_trade_order AS o
  JOIN dwd_trade_order_amount AS a ON a.order_id = o.order_id
  WHERE NOT o.is_test
  GROUP BY o.day
), payers AS (
  SELECT paid_day AS day, count(DISTINCT user_id) AS pay_users
  FROM dwd_trade_order WHERE paid_time IS NOT NULL AND NOT is_test GROUP BY paid_day
), buyers AS (
  SELECT CAST(first_order_time AT TIME ZONE '${time_zone}' AS DATE) AS day, count(*) AS new_buyers
  FROM dwd_trade_user_first GROUP BY 1
), ordering AS (
  SELECT day, count(DISTINCT mid) AS order_devices
  FROM dwd_trade_order_device WHERE NOT is_test GROUP BY day
), carted AS (
  SELECT day, user_id, sku_id, min(add_time) AS add_time
  FROM dwd_trade_cart_add WHERE NOT is_test GROUP BY day, user_id, sku_id
), bought AS (
  SELECT c.day, c.user_id, c.sku_id
  FROM carted AS c
  JOIN dwd_trade_order_detail AS d ON d.user_id = c.user_id AND d.sku_id = c.sku_id
    AND d.create_time >= c.add_time AND d.create_time <= c.add_time + INTERVAL '${cart_abandoned_after}'
  GROUP BY c.day, c.user_id, c.sku_id
), carts AS (
  SELECT c.day, count(*) AS carted, count(b.user_id) AS bought
  FROM carted AS c
  LEFT JOIN bought AS b ON b.day = c.day AND b.user_id = c.user_id AND b.sku_id = c.sku_id
  GROUP BY c.day
)
SELECT
  l.day,
  l.gmv_net / nullif(l.paid_orders, 0) AS aov,
  CAST(o.pieces AS DOUBLE) / nullif(l.orders, 0) AS units_per_order,
  CAST(o.activity_amount AS DOUBLE) / nullif(CAST(o.original_amount AS DOUBLE), 0) AS activity_subsidy_rate,
  CAST(o.coupon_amount AS DOUBLE) / nullif(CAST(o.original_amount AS DOUBLE), 0) AS coupon_subsidy_rate,
  CAST(l.orders AS DOUBLE) / nullif(l.sessions, 0) AS conversion,
  coalesce(d.order_devices, 0) AS order_devices,
  CAST(coalesce(d.order_devices, 0) AS DOUBLE) / nullif(l.uv, 0) AS device_conversion,
  coalesce(p.pay_users, 0) AS pay_users,
  coalesce(b.new_buyers, 0) AS new_buyers,
  c.carted,
  1 - CAST(c.bought AS DOUBLE) / nullif(c.carted, 0) AS cart_abandonment
FROM ads_live_day AS l
LEFT JOIN orders AS o ON o.day = l.day
LEFT JOIN ordering AS d ON d.day = l.day
LEFT JOIN payers AS p ON p.day = l.day
LEFT JOIN buyers AS b ON b.day = l.day
LEFT JOIN carts AS c ON c.day = l.day
