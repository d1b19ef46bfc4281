-- Grain: minute of a business day × channel. Key: day, minute, channel.
-- Inputs: page_log.
--
-- pv: page views. Page views add up over minutes and channels; devices do not,
-- and are counted elsewhere.
CREATE MATERIALIZED VIEW dws_traffic_channel_minute AS
SELECT
  CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day,
  CAST(date_part('hour', ts AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', ts AT TIME ZONE '${time_zone}') AS INT) AS minute,
  ch AS channel,
  count(*) AS pv
FROM page_log
WHERE NOT is_bot
GROUP BY 1, 2, 3
