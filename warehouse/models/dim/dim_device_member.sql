-- Grain: device × member × business day on which the member was logged in there.
-- Key: mid, user_id, day.
-- Inputs: page_log.
--
-- first_time: first page view of the member on the device that day. The member
-- of a device at a time is the one with the latest first_time before it.
CREATE MATERIALIZED VIEW dim_device_member AS
SELECT
  mid,
  uid AS user_id,
  CAST(ts AT TIME ZONE '${time_zone}' AS DATE) AS day,
  min(ts) AS first_time
FROM page_log
WHERE uid IS NOT NULL AND NOT is_bot
GROUP BY mid, uid, CAST(ts AT TIME ZONE '${time_zone}' AS DATE)
