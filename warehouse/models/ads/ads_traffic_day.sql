-- Grain: business day. Key: day. A query view.
-- Inputs: dwd_traffic_session, ads_live_day.
--
-- pv, uv: page views and devices of the day. sessions that began that day, with
-- their pages and seconds, also on the next day; bounce_rate: part of them with
-- one page so far.
CREATE VIEW ads_traffic_day AS
SELECT
  s.day,
  d.pv,
  d.uv,
  s.sessions,
  s.bounces,
  CAST(s.pages AS DOUBLE) / s.sessions AS pages_per_session,
  CAST(s.seconds AS DOUBLE) / s.sessions AS seconds_per_session,
  CAST(s.bounces AS DOUBLE) / s.sessions AS bounce_rate
FROM (
  SELECT day, count(*) AS sessions, sum(pages) AS pages, sum(seconds) AS seconds,
    count(*) FILTER (WHERE pages = 1) AS bounces
  FROM dwd_traffic_session
  GROUP BY day
) AS s
JOIN ads_live_day AS d ON d.day = s.day
