-- Grain: member. Key: user_id. A query view.
-- Inputs: user_info.
--
-- register_time, day: of the registration. is_test: a member of tests, whom metrics
-- leave out.
CREATE VIEW dwd_user_register AS
SELECT id AS user_id, create_time AS register_time,
  CAST(create_time AT TIME ZONE '${time_zone}' AS DATE) AS day, is_test
FROM user_info
WHERE create_time IS NOT NULL
