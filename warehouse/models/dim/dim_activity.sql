-- Grain: rule of an activity. Key: activity_rule_id. A query view.
-- Inputs: activity_info, activity_rule, base_dic.
--
-- As activities and rules are now; dim_activity_history and dim_activity_rule_history
-- have what they were. An activity without a rule has one row, without
-- activity_rule_id.
CREATE VIEW dim_activity AS
SELECT
  r.id AS activity_rule_id,
  a.id AS activity_id,
  a.activity_name,
  a.activity_type,
  d.dic_name AS activity_type_name,
  a.start_time,
  a.end_time,
  r.condition_amount,
  r.condition_num,
  r.benefit_amount,
  r.benefit_discount,
  r.benefit_level
FROM activity_info AS a
LEFT JOIN activity_rule AS r ON r.activity_id = a.id
LEFT JOIN base_dic AS d ON d.dic_code = a.activity_type
