-- Grain: business day × channel. Key: day, channel.
-- Inputs: page_log.
--
-- uv: devices seen in the channel that day. A device that uses two channels
-- counts in both, so that channels do not add up to the day.
CREATE MATERIALIZED VIEW dws_traffic_channel_day AS
SELECT
  CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day,
  ch AS channel,
  count(*) AS pv,
  count(DISTINCT mid) AS uv
FROM page_log
WHERE NOT is_bot
GROUP BY 1, 2
