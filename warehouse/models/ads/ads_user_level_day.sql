-- Grain: business day × level of the member. Key: day, user_level. A query view.
-- Inputs: dwd_trade_order_member.
--
-- orders made that day, the members who made them, and their goods, by the level
-- that the member had when the order was made: somebody who rose on that day may
-- count on both.
CREATE VIEW ads_user_level_day AS
SELECT
  day,
  user_level,
  count(*) AS orders,
  count(DISTINCT user_id) AS users,
  sum(goods_amount) AS gmv_gross
FROM dwd_trade_order_member
WHERE NOT is_test
GROUP BY day, user_level
