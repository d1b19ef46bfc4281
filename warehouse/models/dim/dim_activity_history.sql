-- Grain: state of a activity with the time in which it held. Key: activity_id, version.
-- A query view.
-- Inputs: activity_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_activity_history AS
SELECT
  activity_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  activity_name,
  activity_type
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY activity_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY activity_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS activity_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(activity_name) AS activity_name,
      min(activity_type) AS activity_type,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM activity_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
