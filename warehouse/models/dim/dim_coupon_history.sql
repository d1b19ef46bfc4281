-- Grain: state of a coupon with the time in which it held. Key: coupon_id, version.
-- A query view.
-- Inputs: coupon_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
CREATE VIEW dim_coupon_history AS
SELECT
  coupon_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  coupon_name,
  coupon_type,
  condition_amount,
  condition_num,
  benefit_amount,
  benefit_discount,
  range_type,
  limit_num
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY coupon_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY coupon_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS coupon_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(coupon_name) AS coupon_name,
      min(coupon_type) AS coupon_type,
      min(condition_amount) AS condition_amount,
      min(condition_num) AS condition_num,
      min(benefit_amount) AS benefit_amount,
      min(benefit_discount) AS benefit_discount,
      min(range_type) AS range_type,
      min(limit_num) AS limit_num,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM coupon_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
