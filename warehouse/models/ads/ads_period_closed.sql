-- Grain: closed business day × metric. Key: day, metric.
-- Inputs: period_close.
--
-- The figures as they were reported, which nothing changes any more. value: of the
-- last version; version: 1 for the first close, more after `sluice close --again`;
-- first_value: of the first one. closed_at: when that version was made.
CREATE MATERIALIZED VIEW ads_period_closed AS
SELECT
  day,
  metric,
  max(version) AS version,
  last_value(value ORDER BY version) AS value,
  first_value(value ORDER BY version) AS first_value,
  last_value(closed_at ORDER BY version) AS closed_at
FROM period_close
GROUP BY day, metric
