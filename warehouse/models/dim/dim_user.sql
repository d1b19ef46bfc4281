-- Grain: member. Key: user_id. A query view: ages follow the calendar.
-- Inputs: user_info.
--
-- Nothing personal: of a birthday only the year is kept, and ages are those of the year.
CREATE VIEW dim_user AS
SELECT
  id AS user_id,
  user_level,
  gender,
  date_part('year', now()) - date_part('year', birthday)
    - CASE WHEN to_char(now(), '%m%d') < to_char(birthday, '%m%d') THEN 1 ELSE 0 END AS age,
  CAST(create_time AT TIME ZONE '${time_zone}' AS DATE) AS register_day,
  is_test
FROM user_info
