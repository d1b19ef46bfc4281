-- Grain: time at which a member made goods a favourite. Key: favor_id, add_time.
-- Inputs: favor_change, dim_test_user.
--
-- A favourite that was taken back and is made again counts again.
CREATE MATERIALIZED VIEW dwd_interaction_favor_add AS
SELECT
  c.id AS favor_id,
  c.user_id,
  c.sku_id,
  c.change_time AS add_time,
  CAST(c.change_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  t.user_id IS NOT NULL AS is_test
FROM favor_change AS c
LEFT JOIN dim_test_user AS t ON t.user_id = c.user_id
WHERE c.is_cancel NOT IN ('${favor_cancelled}')
  AND (c.type = 'insert' OR c.old_is_cancel IN ('${favor_cancelled}'))
