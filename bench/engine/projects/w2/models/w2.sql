-- Grain: minute, channel, province, version, is_new.
-- Inputs: page_log.
CREATE MATERIALIZED VIEW w2 AS
SELECT
  date_bin(INTERVAL '1 minute', ts) AS minute,
  channel, province, version, is_new,
  count(*) AS pv,
  count(DISTINCT device_id) AS uv,
  sum(during_time) AS during
FROM page_log
GROUP BY date_bin(INTERVAL '1 minute', ts), channel, province, version, is_new
