-- Grain: comment. Key: comment_id.
-- Inputs: comment_info, base_dic, dim_test_user.
--
-- appraise: how the member found the goods, a code; appraise_name: the same in words.
-- day: of the comment. is_test: of a member of tests. What was written is not taken.
CREATE MATERIALIZED VIEW dwd_interaction_comment AS
SELECT
  c.id AS comment_id,
  c.user_id,
  c.sku_id,
  c.order_id,
  c.appraise,
  d.dic_name AS appraise_name,
  c.create_time,
  CAST(c.create_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  t.user_id IS NOT NULL AS is_test
FROM comment_info AS c
LEFT JOIN base_dic AS d ON d.dic_code = c.appraise
LEFT JOIN dim_test_user AS t ON t.user_id = c.user_id
WHERE c.create_time IS NOT NULL
