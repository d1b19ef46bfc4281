-- Grain: business day, from the first with an active member to the newest with a page
-- view. Key: day. A query view.
-- Inputs: dwd_user_active_day, dwd_user_back_day, dws_traffic_channel_day.
--
-- A day without activity has a row too, for members are lost on it. user_churn_ct:
-- members whose last activity before the day's end was exactly seven days before.
-- user_back_ct: members active that day and not on the seven days before, but
-- earlier.
CREATE VIEW ads_user_change AS
WITH days AS (
  SELECT unnest(generate_series(oldest.day, newest.day, INTERVAL '1 day')) AS day
  FROM (SELECT min(day) AS day FROM dwd_user_active_day) AS oldest
  CROSS JOIN (SELECT max(day) AS day FROM dws_traffic_channel_day) AS newest
),
lost AS (
  SELECT day + 7 AS day, count(*) AS members
  FROM (
    SELECT day, lead(day) OVER (PARTITION BY user_id ORDER BY day) AS next_day
    FROM dwd_user_active_day
  ) AS active
  WHERE next_day IS NULL OR next_day > day + 7
  GROUP BY day + 7
),
back AS (SELECT day, count(*) AS members FROM dwd_user_back_day GROUP BY day)
SELECT
  d.day,
  coalesce(l.members, 0) AS user_churn_ct,
  coalesce(b.members, 0) AS user_back_ct
FROM days AS d
LEFT JOIN lost AS l ON l.day = d.day
LEFT JOIN back AS b ON b.day = d.day
