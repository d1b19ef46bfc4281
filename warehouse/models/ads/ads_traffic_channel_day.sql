-- Grain: business day × channel. Key: day, channel. A query view.
-- Inputs: dwd_traffic_session, dws_traffic_channel_day.
--
-- As ads_traffic_day. A device that uses two channels counts in both.
CREATE VIEW ads_traffic_channel_day AS
SELECT
  c.day,
  c.channel,
  c.pv,
  c.uv,
  coalesce(s.sessions, 0) AS sessions,
  coalesce(s.bounces, 0) AS bounces,
  CAST(s.pages AS DOUBLE) / s.sessions AS pages_per_session,
  CAST(s.seconds AS DOUBLE) / s.sessions AS seconds_per_session,
  CAST(s.bounces AS DOUBLE) / s.sessions AS bounce_rate
FROM dws_traffic_channel_day AS c
LEFT JOIN (
  SELECT day, channel, count(*) AS sessions, sum(pages) AS pages, sum(seconds) AS seconds,
    count(*) FILTER (WHERE pages = 1) AS bounces
  FROM dwd_traffic_session
  GROUP BY day, channel
) AS s ON s.day = c.day AND s.channel = c.channel
