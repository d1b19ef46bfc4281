-- Grain: state of a product with the time in which it held. Key: spu_id, version.
-- A query view.
-- Inputs: spu_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_spu_history AS
SELECT
  spu_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  spu_name,
  category3_id,
  tm_id
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY spu_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY spu_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS spu_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(spu_name) AS spu_name,
      min(category3_id) AS category3_id,
      min(tm_id) AS tm_id,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM spu_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
