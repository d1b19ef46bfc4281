-- Grain: page view, device's first one of a day, or session. Key: counts_for, mid, sid,
-- event_time, page_id, where a client gives no event_id. A query view.
-- Inputs: page_log, dwd_traffic_unique_visitor_detail, dwd_traffic_session.
--
-- The rows of which the figures of traffic are made (ads_live_day, ads_hour,
-- ads_traffic_day). counts_for: pv (page views), uv (devices) or sessions. event_time,
-- day, minute: of the page view, of the device's first one of the day, of the session's
-- first one. page_id: the page, or that of the first page view; exit_page, pages,
-- seconds: of sessions.
CREATE VIEW dwd_traffic_event AS
SELECT 'pv' AS counts_for, ts AS event_time, CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day,
  CAST(date_part('hour', ts AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', ts AT TIME ZONE '${time_zone}') AS INT) AS minute,
  mid, sid, uid AS user_id, ch AS channel, page_id, CAST(NULL AS VARCHAR) AS exit_page,
  CAST(NULL AS BIGINT) AS pages, CAST(NULL AS DECIMAL(18, 3)) AS seconds
FROM page_log
WHERE NOT is_bot
UNION ALL
SELECT 'uv', first_time, day, first_minute, mid, NULL, NULL, channel, page_id, NULL, NULL, NULL
FROM dwd_traffic_unique_visitor_detail
UNION ALL
SELECT 'sessions', first_time, day,
  CAST(date_part('hour', first_time AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', first_time AT TIME ZONE '${time_zone}') AS INT),
  mid, sid, NULL, channel, entry_page, exit_page, pages, seconds
FROM dwd_traffic_session
