-- Grain: state of a member with the time in which it held. Key: user_id, version.
-- A query view.
-- Inputs: user_change.
--
-- version: order of the changes of one key; a snapshot comes before all others.
-- valid_from: NULL for the first state known, which held since ever; valid_to: NULL
-- for the present one (is_latest). A deletion ends a state and makes none.
-- Nothing personal: the year of birth instead of the birthday.
CREATE VIEW dim_user_history AS
SELECT
  user_id,
  version,
  CASE WHEN number > 1 THEN change_time END AS valid_from,
  next_time AS valid_to,
  next_time IS NULL AS is_latest,
  user_level,
  gender,
  birth_year
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY user_id ORDER BY version) AS number,
    lead(change_time) OVER (PARTITION BY user_id ORDER BY version) AS next_time
  FROM (
    SELECT
      id AS user_id,
      xid * 100000 + xoffset AS version,
      min(change_time) AS change_time,
      min(user_level) AS user_level,
      min(gender) AS gender,
      min(date_part('year', birthday)) AS birth_year,
      max(CASE WHEN type = 'delete' THEN 1 ELSE 0 END) AS is_deleted
    FROM user_change
    GROUP BY id, xid * 100000 + xoffset
  ) AS versions
) AS numbered
WHERE is_deleted = 0
