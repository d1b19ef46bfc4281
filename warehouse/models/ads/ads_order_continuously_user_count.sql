-- Grain: business day. Key: day. A query view.
-- Inputs: dws_user_day.
--
-- users: members who ordered on three or more consecutive days of the seven that
-- end with the day.
CREATE VIEW ads_order_continuously_user_count AS
WITH ordered AS (SELECT day, user_id FROM dws_user_day WHERE orders > 0),
runs AS (
  SELECT a.user_id, a.day AS first_day
  FROM ordered AS a
  JOIN ordered AS b ON b.user_id = a.user_id AND b.day = a.day + 1
  JOIN ordered AS c ON c.user_id = a.user_id AND c.day = a.day + 2
)
SELECT d.day, count(DISTINCT r.user_id) AS users
FROM (SELECT DISTINCT day FROM ordered) AS d
LEFT JOIN runs AS r ON r.first_day + 2 <= d.day AND d.day - r.first_day < 7
GROUP BY d.day
