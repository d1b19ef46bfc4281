-- Grain: session. Key: sid.
-- Inputs: page_log.
--
-- day: of the session's first page view; page views themselves belong to their
-- own day.
CREATE MATERIALIZED VIEW dws_traffic_session AS
SELECT
  sid,
  CAST(min(ts) AT TIME ZONE '${time_zone}' AS DATE) AS day,
  count(*) AS pages
FROM page_log
WHERE sid IS NOT NULL AND NOT is_bot
GROUP BY sid
