-- Grain: member × business day with a page view while logged in. Key: day,
-- user_id.
-- Inputs: dim_device_member.
--
-- first_time: of the day's first one, on any device.
CREATE MATERIALIZED VIEW dwd_user_active_day AS
SELECT day, user_id, min(first_time) AS first_time
FROM dim_device_member
GROUP BY day, user_id
