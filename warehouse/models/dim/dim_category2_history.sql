-- Grain: state of a category of the second level with the time in which it held. Key: category2_id, version.
-- A query view.
-- Inputs: category2_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_category2_history AS
SELECT
  category2_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  category2_name,
  category1_id
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY category2_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY category2_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS category2_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(name) AS category2_name,
      min(category1_id) AS category1_id,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM category2_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
