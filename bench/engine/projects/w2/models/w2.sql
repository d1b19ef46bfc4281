-- Grain: minute, channel, province, version, is_new.
-- Inputs: page_log.
CREATE MATERIALIZED VIEW w2 AS
SELECT
  window_start AS minute,
  channel, province, version, is_new,
  count(*) AS pv,
  count(DISTINCT device_id) AS uv,
  sum(during_time) AS during
FROM tumble(page_log, ts, INTERVAL '1 minute')
GROUP BY window_start, window_end, channel, province, version, is_new
