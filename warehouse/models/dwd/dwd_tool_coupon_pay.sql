-- Grain: coupon of a member that was paid with. Key: coupon_use_id. A query view.
-- Inputs: coupon_use.
--
-- used_time says so, whatever the status. A coupon that came back, because its
-- order came to nothing, has none.
CREATE VIEW dwd_tool_coupon_pay AS
SELECT id AS coupon_use_id, coupon_id, user_id, order_id, used_time,
  CAST(used_time AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM coupon_use
WHERE used_time IS NOT NULL
