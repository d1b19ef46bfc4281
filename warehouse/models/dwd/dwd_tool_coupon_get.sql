-- Grain: coupon of a member that was taken. Key: coupon_use_id. A query view.
-- Inputs: coupon_use.
--
-- get_time says so, whatever the status.
CREATE VIEW dwd_tool_coupon_get AS
SELECT id AS coupon_use_id, coupon_id, user_id, order_id, get_time,
  CAST(get_time AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM coupon_use
WHERE get_time IS NOT NULL
