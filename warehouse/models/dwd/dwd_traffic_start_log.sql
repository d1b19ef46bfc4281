-- Grain: start of the app. Key: event_id, mid, sid, ts.
-- A query view: the log is kept once, as start_log.
-- Inputs: start_log, dim_device.
--
-- is_new: 1 on the device's first day (see dim_device). day: business day.
CREATE VIEW dwd_traffic_start_log AS
SELECT
  l.*,
  CASE WHEN CAST(l.ts AT TIME ZONE '${time_zone}' AS DATE) = d.first_day
    AND d.first_day = d.new_day THEN 1 ELSE 0 END AS is_new,
  CAST(l.ts AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM start_log AS l
LEFT JOIN dim_device AS d ON d.mid = l.mid
