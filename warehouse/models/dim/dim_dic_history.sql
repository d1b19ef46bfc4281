-- Grain: state of a code of the shop with the time in which it held. Key: dic_code, version.
-- A query view.
-- Inputs: dic_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_dic_history AS
SELECT
  dic_code,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  dic_name,
  parent_code
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY dic_code ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY dic_code ORDER BY version) AS next_time
  FROM (
    SELECT
      dic_code,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(dic_name) AS dic_name,
      min(parent_code) AS parent_code,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM dic_change
    GROUP BY dic_code, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
