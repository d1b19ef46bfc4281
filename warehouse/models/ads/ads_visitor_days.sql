-- Grain: business day × number of days up to it (1, 7, 30). Key: day,
-- recent_days. A query view.
-- Inputs: dws_traffic_uniq_window, dws_user_uniq_day.
--
-- uv: different devices in these days; active_users: different members who did anything
-- (dws_user_day: a page view, a cart, a favourite, an order, a payment, a refund that was
-- paid out; dwd_user_active_day has those with a page view); order_users: different
-- members who ordered. From states, so that no page view is read again.
CREATE VIEW ads_visitor_days AS
WITH devices AS (
  SELECT cur_date AS day, uniq_merge(uv_state) AS uv_state
  FROM dws_traffic_uniq_window GROUP BY cur_date
), lengths AS (
  SELECT * FROM (VALUES (1, INTERVAL '0 days'), (7, INTERVAL '6 days'), (30, INTERVAL '29 days')) AS l(recent_days, before)
), ends AS (
  SELECT day FROM devices UNION SELECT day FROM dws_user_uniq_day
), spans AS (
  SELECT ends.day, lengths.recent_days,
    CAST(ends.day - lengths.before AS DATE) AS first_day
  FROM ends CROSS JOIN lengths
)
SELECT
  s.day,
  s.recent_days,
  d.uv,
  u.active_users,
  u.order_users
FROM spans AS s
LEFT JOIN (
  SELECT s.day, s.recent_days, uniq_count(uniq_merge(d.uv_state)) AS uv
  FROM spans AS s JOIN devices AS d ON d.day >= s.first_day AND d.day <= s.day
  GROUP BY s.day, s.recent_days
) AS d ON d.day = s.day AND d.recent_days = s.recent_days
LEFT JOIN (
  SELECT s.day, s.recent_days, uniq_count(uniq_merge(u.active_state)) AS active_users,
    uniq_count(uniq_merge(u.order_state)) AS order_users
  FROM spans AS s JOIN dws_user_uniq_day AS u ON u.day >= s.first_day AND u.day <= s.day
  GROUP BY s.day, s.recent_days
) AS u ON u.day = s.day AND u.recent_days = s.recent_days
