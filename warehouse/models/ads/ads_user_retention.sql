-- Grain: day of registration × days after it. Key: register_day, retention_day. A
-- query view.
-- Inputs: dwd_user_register, dwd_user_active_day, dws_traffic_channel_day.
--
-- What a day brought is NULL until it has come, which is known by the newest day with a
-- page view; of that day it is what there is so far. It is NULL, too, of a day before the
-- first one with a page view. new_users: members who registered that day; retained: of
-- them, those with a page view retention_day (1 to 7) days later; retention_rate: their
-- part.
CREATE VIEW ads_user_retention AS
SELECT
  register_day,
  retention_day,
  new_users,
  CASE WHEN is_known THEN active_users END AS retained,
  CASE WHEN is_known THEN CAST(active_users AS DOUBLE) / new_users END AS retention_rate
FROM (
  SELECT
    r.day AS register_day,
    n.retention_day,
    r.day + CAST(n.retention_day AS INT) BETWEEN pages.first_day AND pages.last_day AS is_known,
    count(*) AS new_users,
    count(a.user_id) AS active_users
  FROM dwd_user_register AS r
  CROSS JOIN (SELECT unnest([1, 2, 3, 4, 5, 6, 7]) AS retention_day) AS n
  CROSS JOIN (
    SELECT min(day) AS first_day, max(day) AS last_day FROM dws_traffic_channel_day
  ) AS pages
  LEFT JOIN dwd_user_active_day AS a
    ON a.user_id = r.user_id AND a.day = r.day + CAST(n.retention_day AS INT)
  WHERE NOT r.is_test
  GROUP BY r.day, n.retention_day, pages.first_day, pages.last_day
) AS days
