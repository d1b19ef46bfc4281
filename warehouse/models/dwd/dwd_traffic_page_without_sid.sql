-- Grain: page view of a client that names no session. Key: mid, ts.
-- Inputs: page_log.
--
-- sid: made of the device and of when its session began: at a page view without
-- a page before, or after a pause longer than the setting session_idle.
CREATE MATERIALIZED VIEW dwd_traffic_page_without_sid AS
SELECT
  concat(mid, '@', CAST(CAST(max(start_time) OVER (PARTITION BY mid ORDER BY ts) AS BIGINT) AS VARCHAR)) AS sid,
  mid, ts, page_id, ch, vc, ar, utm_campaign, during_time
FROM (
  SELECT
    mid, ts, page_id, ch, vc, ar, utm_campaign, during_time,
    CASE
      WHEN last_page_id IS NULL THEN ts
      WHEN lag(ts) OVER (PARTITION BY mid ORDER BY ts) IS NULL THEN ts
      WHEN ts > lag(ts) OVER (PARTITION BY mid ORDER BY ts) + INTERVAL '${session_idle}' THEN ts
    END AS start_time
  FROM page_log
  WHERE sid IS NULL AND NOT is_bot
) AS views
