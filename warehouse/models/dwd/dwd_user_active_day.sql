-- Grain: member × business day with a page view while logged in. Key: day,
-- user_id.
-- Inputs: dim_device_member, dim_test_user.
--
-- first_time: of the day's first one, on any device. Who only ordered, or got money
-- back, is not active here (dws_user_day has all that members did). Members of tests are
-- left out.
CREATE MATERIALIZED VIEW dwd_user_active_day AS
SELECT a.day, a.user_id, min(a.first_time) AS first_time
FROM dim_device_member AS a
LEFT JOIN dim_test_user AS t ON t.user_id = a.user_id
WHERE t.user_id IS NULL
GROUP BY a.day, a.user_id
