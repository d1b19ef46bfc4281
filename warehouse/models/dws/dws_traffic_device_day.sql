-- Grain: device × business day. Key: day, mid.
-- Inputs: page_log.
--
-- first_minute: minute of the day of its first page view by event time, so that
-- each device counts once a day, in its first minute.
CREATE MATERIALIZED VIEW dws_traffic_device_day AS
SELECT
  CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day,
  mid,
  min(CAST(date_part('hour', ts AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', ts AT TIME ZONE '${time_zone}') AS INT)) AS first_minute
FROM page_log
WHERE NOT is_bot
GROUP BY 1, 2
