-- Grain: change of the cart that put more in it. Key: cart_id, add_time, pieces.
-- Inputs: cart_change, dim_test_user.
--
-- pieces: the increment. What is taken out, or changed otherwise, adds nothing.
CREATE MATERIALIZED VIEW dwd_trade_cart_add AS
SELECT
  c.id AS cart_id,
  c.user_id,
  c.sku_id,
  c.change_time AS add_time,
  CAST(c.change_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  CASE WHEN c.type = 'insert' THEN c.sku_num ELSE c.sku_num - c.old_sku_num END AS pieces,
  t.user_id IS NOT NULL AS is_test
FROM cart_change AS c
LEFT JOIN dim_test_user AS t ON t.user_id = c.user_id
WHERE (c.type = 'insert' AND c.sku_num > 0) OR (c.type = 'update' AND c.sku_num > c.old_sku_num)
