-- Grain: device. Key: mid.
-- Inputs: page_log.
--
-- first_day: day of its first page view, by event time. new_day: first day on
-- which the client called itself new. A device is new on first_day, all day, if
-- both are the same; otherwise it was there before the warehouse, and is old.
CREATE MATERIALIZED VIEW dim_device AS
SELECT
  mid,
  min(CAST(ts AT TIME ZONE '${time_zone}' AS DATE)) AS first_day,
  min(CASE WHEN is_new = '1' THEN CAST(ts AT TIME ZONE '${time_zone}' AS DATE) END) AS new_day
FROM page_log
GROUP BY mid
