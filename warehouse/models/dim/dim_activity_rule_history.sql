-- Grain: state of a rule of an activity with the time in which it held. Key: activity_rule_id, version.
-- A query view.
-- Inputs: activity_rule_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_activity_rule_history AS
SELECT
  activity_rule_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  activity_id,
  activity_type,
  condition_amount,
  condition_num,
  benefit_amount,
  benefit_discount,
  benefit_level
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY activity_rule_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY activity_rule_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS activity_rule_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(activity_id) AS activity_id,
      min(activity_type) AS activity_type,
      min(condition_amount) AS condition_amount,
      min(condition_num) AS condition_num,
      min(benefit_amount) AS benefit_amount,
      min(benefit_discount) AS benefit_discount,
      min(benefit_level) AS benefit_level,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM activity_rule_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
