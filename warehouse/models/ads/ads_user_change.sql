-- Grain: business day. Key: day. A query view.
-- Inputs: dwd_user_active_day, dwd_user_back_day.
--
-- user_churn_ct: members whose last activity before the day's end was exactly
-- seven days before. user_back_ct: members active that day and not on the seven
-- days before, but earlier.
CREATE VIEW ads_user_change AS
WITH days AS (SELECT DISTINCT day FROM dwd_user_active_day),
gone AS (
  SELECT d.day, a.user_id
  FROM days AS d
  JOIN dwd_user_active_day AS a ON a.day <= d.day
  GROUP BY d.day, a.user_id
  HAVING max(a.day) = d.day - INTERVAL '7 days'
)
SELECT
  d.day,
  (SELECT count(*) FROM gone AS g WHERE g.day = d.day) AS user_churn_ct,
  (SELECT count(*) FROM dwd_user_back_day AS b WHERE b.day = d.day) AS user_back_ct
FROM days AS d
