-- Grain: day of registration × days after it. Key: register_day, retention_day. A
-- query view.
-- Inputs: dwd_user_register, dwd_user_active_day.
--
-- new_users: members who registered that day; retained: of them, those active
-- retention_day (1 to 7) days later; rate.
CREATE VIEW ads_user_retention AS
SELECT
  r.day AS register_day,
  n.retention_day,
  count(*) AS new_users,
  count(a.user_id) AS retained,
  CAST(count(a.user_id) AS DOUBLE) / count(*) AS retention_rate
FROM dwd_user_register AS r
CROSS JOIN (SELECT unnest([1, 2, 3, 4, 5, 6, 7]) AS retention_day) AS n
LEFT JOIN dwd_user_active_day AS a
  ON a.user_id = r.user_id AND a.day = r.day + CAST(n.retention_day AS INT)
WHERE NOT r.is_test
GROUP BY r.day, n.retention_day
