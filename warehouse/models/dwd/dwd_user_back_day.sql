-- Grain: member × business day on which the member came back. Key: day, user_id.
-- Inputs: dwd_user_active_day.
--
-- Back: active that day, not on any of the seven days before, but earlier.
CREATE MATERIALIZED VIEW dwd_user_back_day AS
SELECT
  a.day,
  a.user_id,
  a.first_time,
  max(b.day) AS last_day
FROM dwd_user_active_day AS a
JOIN dwd_user_active_day AS b ON b.user_id = a.user_id
WHERE b.day < a.day
GROUP BY a.day, a.user_id, a.first_time
HAVING max(b.day) <= a.day - INTERVAL '8 days'
