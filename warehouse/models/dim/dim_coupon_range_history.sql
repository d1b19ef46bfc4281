-- Grain: state of a what a coupon is for with the time in which it held. Key: coupon_range_id, version.
-- A query view.
-- Inputs: coupon_range_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_coupon_range_history AS
SELECT
  coupon_range_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  coupon_id,
  range_type,
  range_id
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY coupon_range_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY coupon_range_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS coupon_range_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(coupon_id) AS coupon_id,
      min(range_type) AS range_type,
      min(range_id) AS range_id,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM coupon_range_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
