-- Grain: hour of a business day. Key: day, hour. A query view.
-- Inputs: ads_hour, dwd_traffic_session.
--
-- pv: page views in the hour; uv_new_today: devices whose first page view of the day
-- was in it, so that it adds up to the day's devices; sessions: those that began in the
-- hour; bounces: of them, those of one page so far; pages_per_session,
-- seconds_per_session: of these sessions, also what came after the hour; bounce_rate:
-- bounces by sessions.
CREATE VIEW ads_traffic_hour AS
SELECT
  h.day,
  h.hour,
  h.pv,
  h.uv_new_today,
  coalesce(s.sessions, 0) AS sessions,
  coalesce(s.bounces, 0) AS bounces,
  CAST(s.pages AS DOUBLE) / s.sessions AS pages_per_session,
  CAST(s.seconds AS DOUBLE) / s.sessions AS seconds_per_session,
  CAST(s.bounces AS DOUBLE) / s.sessions AS bounce_rate
FROM ads_hour AS h
LEFT JOIN (
  SELECT day, CAST(date_part('hour', first_time AT TIME ZONE '${time_zone}') AS INT) AS hour, count(*) AS sessions,
    sum(pages) AS pages, sum(seconds) AS seconds, count(*) FILTER (WHERE pages = 1) AS bounces
  FROM dwd_traffic_session
  GROUP BY 1, 2
) AS s ON s.day = h.day AND s.hour = h.hour
WHERE h.pv > 0
