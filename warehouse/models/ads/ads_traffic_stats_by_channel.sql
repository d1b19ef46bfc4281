-- Grain: last 1, 7 or 30 business days × channel. Key: recent_days, channel. A
-- query view.
-- Inputs: dwd_traffic_session.
--
-- The last day is the newest with a session. uv: devices that began a session in
-- those days, once each.
CREATE VIEW ads_traffic_stats_by_channel AS
WITH newest AS (SELECT max(day) AS day FROM dwd_traffic_session),
spans AS (SELECT 1 AS recent_days UNION ALL SELECT 7 UNION ALL SELECT 30)
SELECT
  p.recent_days,
  s.channel,
  count(DISTINCT s.mid) AS uv,
  count(*) AS sessions,
  CAST(sum(s.pages) AS DOUBLE) / count(*) AS pages_per_session,
  CAST(sum(s.seconds) AS DOUBLE) / count(*) AS seconds_per_session,
  CAST(count(*) FILTER (WHERE s.pages = 1) AS DOUBLE) / count(*) AS bounce_rate
FROM dwd_traffic_session AS s
CROSS JOIN newest AS n
CROSS JOIN spans AS p
WHERE n.day - s.day < p.recent_days
GROUP BY p.recent_days, s.channel
