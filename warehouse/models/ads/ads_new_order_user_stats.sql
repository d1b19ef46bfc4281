-- Grain: business day. Key: day. A query view.
-- Inputs: dwd_trade_user_first.
--
-- new_order_users: members whose first order was that day, paid or not;
-- new_paid_users: whose first payment was.
CREATE VIEW ads_new_order_user_stats AS
SELECT day, sum(ordered) AS new_order_users, sum(paid) AS new_paid_users
FROM (
  SELECT CAST(first_order_time AT TIME ZONE '${time_zone}' AS DATE) AS day, 1 AS ordered, 0 AS paid
  FROM dwd_trade_user_first
  UNION ALL
  SELECT CAST(first_paid_time AT TIME ZONE '${time_zone}' AS DATE), 0, 1
  FROM dwd_trade_user_first WHERE first_paid_time IS NOT NULL
) AS firsts
GROUP BY day
